-- db/outbox.py, PostgresOutbox.claim. Index: outbox_waiting.
-- Whoever holds the oldest of an object's rows drains the object: a second one waits here, and what
-- the first has drained meanwhile is not among its rows (READ COMMITTED looks again after the wait).
BEGIN;
SELECT
    o.seq,
    o.object,
    o.tuples,
    o.parked_because
FROM plexsphere.outbox AS o
WHERE o.object = %(object)s
    AND o.drained_at IS NULL
ORDER BY o.seq
FOR UPDATE;
