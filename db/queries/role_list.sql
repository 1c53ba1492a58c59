-- db/grants.py, who has a role on one object by the ledger. Index: role_grants_pkey.
SELECT
    g.relation,
    g.subject,
    g.created_at
FROM plexsphere.role_grants AS g
WHERE g.object = %(object)s
ORDER BY 1, 2;
