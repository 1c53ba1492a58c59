-- db/outbox_retention.py, a batch of old rows, by outbox_pkey from where the last one ended. Nobody
-- writes or waits for a row that is drained; one that somebody holds all the same stays.
WITH old AS (
    SELECT o.seq
    FROM plexsphere.outbox AS o
    WHERE o.seq > %(after)s
        AND o.drained_at IS NOT NULL
        AND o.created_at < %(since)s
    ORDER BY o.seq
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plexsphere.outbox AS o
USING old
WHERE o.seq = old.seq
RETURNING o.seq;
