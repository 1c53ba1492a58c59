-- db/outbox.py, Claim.parked. Index: outbox_pkey.
UPDATE plexsphere.outbox AS o
SET parked_at = clock_timestamp(),
    parked_because = %(because)s
WHERE o.seq = %(seq)s;
