-- db/tuples.py, after a repair: a parked row of an object that agrees with SpiceDB has nothing left to
-- say. Index: outbox_waiting.
UPDATE plexsphere.outbox AS o
SET drained_at = clock_timestamp()
WHERE o.drained_at IS NULL
    AND o.parked_at IS NOT NULL
    AND o.object <> ALL (%(differing)s::text[])
RETURNING o.seq;
