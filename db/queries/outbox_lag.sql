-- db/outbox.py, PostgresOutbox.lag, for the relay's log and doctor. Indexes: outbox_waiting_by_age,
-- outbox_waiting.
SELECT
    w.number,
    w.seconds,
    p.number
FROM (
    SELECT
        count(*) AS number,
        coalesce(greatest(extract(epoch FROM clock_timestamp() - min(o.created_at)), 0), 0)::float8
            AS seconds
    FROM plexsphere.outbox AS o
    WHERE o.drained_at IS NULL
        AND o.parked_at IS NULL
) AS w
CROSS JOIN (
    SELECT count(*) AS number
    FROM plexsphere.outbox AS o
    WHERE o.drained_at IS NULL
        AND o.parked_at IS NOT NULL
) AS p;
