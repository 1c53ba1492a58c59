-- db/entries.py, PostgresEntries.put. See report_put.sql. Two statements and one round trip: sent
-- together they are one transaction, and each sees what was committed before it began. The lock is
-- of this Node's reports alone, and goes with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('plexsphere reports of ' || %(node_id)s, 0));
EXECUTE report_put (
    %(node_id)s, %(domain_id)s, %(key)s, %(value)s, %(workload_tag)s, %(quota)s
);
