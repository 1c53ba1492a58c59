-- db/entries.py, PostgresEntries.put. See entry_put.sql. Two statements and one round trip: sent
-- together they are one transaction, and each sees what was committed before it began. Under the
-- Domain's row, as every writer of events: seq grows in commit order, and the count is right.
SELECT FROM plexsphere.domains AS d WHERE d.id = %(domain_id)s FOR NO KEY UPDATE;
EXECUTE entry_put (
    %(node_id)s, %(domain_id)s, %(kind)s, %(key)s, %(value)s, %(workload_tag)s, %(quota)s
);
