-- db/grants.py, who has a role on one object by the ledger: what was given, and what a Node's row
-- implies by itself. Indexes: role_grants_pkey, nodes_pkey, withheld_tuples_pkey.
SELECT
    g.relation,
    g.subject,
    g.created_at
FROM plexsphere.role_grants AS g
WHERE g.object = %(object)s
UNION ALL
SELECT
    'agent',
    %(object)s,
    n.created_at
FROM plexsphere.nodes AS n
WHERE %(kind)s = 'node'
    AND n.id = %(id)s::uuid
    AND NOT EXISTS (
        SELECT FROM plexsphere.withheld_tuples AS w
        WHERE (w.object, w.relation, w.subject) = (%(object)s, 'agent', %(object)s)
    )
ORDER BY 1, 2;
