-- db/bulk.py, every relationship that the ledger implies, for a SpiceDB that starts empty and for the
-- comparison with one that does not. Scans nodes, domains and role_grants; seldom run.
SELECT
    'node:' || n.id,
    t.relation,
    t.subject
FROM plexsphere.nodes AS n
CROSS JOIN LATERAL (
    VALUES ('agent', 'node:' || n.id), ('domain', 'domain:' || n.domain_id)
) AS t (relation, subject)
UNION ALL
SELECT
    'domain:' || d.id,
    'platform',
    'platform:plexsphere'
FROM plexsphere.domains AS d
UNION ALL
SELECT
    g.object,
    g.relation,
    g.subject
FROM plexsphere.role_grants AS g
ORDER BY 1, 2, 3;
