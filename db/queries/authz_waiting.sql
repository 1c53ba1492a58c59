-- db/tuples.py, the objects whose rows are on their way to SpiceDB. Index: outbox_waiting.
SELECT DISTINCT o.object
FROM plexsphere.outbox AS o
WHERE o.drained_at IS NULL
    AND o.parked_at IS NULL;
