-- db/outbox.py, PostgresOutbox.claim_oldest. Indexes: outbox_waiting_by_age, outbox_waiting.
-- Only an object's oldest row is locked, and a locked one is passed over, so no two drainers ever
-- have one object. The rows behind it come along: nobody else reaches them.
BEGIN;
WITH heads AS MATERIALIZED (
    SELECT o.object
    FROM plexsphere.outbox AS o
    WHERE o.drained_at IS NULL
        AND o.parked_at IS NULL
        AND o.object <> ALL (%(not_these)s::text[])
        AND NOT EXISTS (
            SELECT FROM plexsphere.outbox AS e
            WHERE e.object = o.object
                AND e.seq < o.seq
                AND e.drained_at IS NULL
                AND e.parked_at IS NULL
        )
    ORDER BY o.seq
    LIMIT %(limit)s
    FOR UPDATE OF o SKIP LOCKED
)
SELECT
    o.seq,
    o.object,
    o.tuples,
    NULL
FROM heads AS h
JOIN plexsphere.outbox AS o ON o.object = h.object
WHERE o.drained_at IS NULL
    AND o.parked_at IS NULL
ORDER BY o.seq;
