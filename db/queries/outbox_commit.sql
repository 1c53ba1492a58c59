-- db/outbox.py, at the end of a claim.
COMMIT;
