-- db/audit_batch.py, before each batch: the ledger's clock, and its day in UTC.
SELECT clock_timestamp(), (clock_timestamp() AT TIME ZONE 'UTC')::date;
