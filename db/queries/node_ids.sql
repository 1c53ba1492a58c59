-- db/bulk.py, when a development SpiceDB is filled from the ledger. Reads nodes_pkey in order.
SELECT n.id::text
FROM plexsphere.nodes AS n
ORDER BY n.id;
