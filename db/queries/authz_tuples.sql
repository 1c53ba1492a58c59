-- db/bulk.py, every relationship that the ledger implies, for a SpiceDB that starts empty and for the
-- comparison with one that does not. Scans nodes, domains and role_grants; seldom run.
SELECT
    i.object,
    i.relation,
    i.subject
FROM plexsphere.implied_tuples AS i
ORDER BY 1, 2, 3;
