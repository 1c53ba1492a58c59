-- db/grants.py, first of a grant's statements. Indexes: domains_pkey, nodes_pkey.
-- A writer of the outbox holds its Domain's row (0006), and one about the platform this lock, so that
-- seq grows in commit order. The last look is behind the lock: a Node may have gone meanwhile. A row,
-- the object's Domain, where there is one.
BEGIN;
SELECT pg_advisory_xact_lock(%(key)s) WHERE %(kind)s = 'platform';
SELECT d.id
FROM plexsphere.domains AS d
WHERE d.id = CASE %(kind)s
        WHEN 'domain' THEN %(id)s::uuid
        WHEN 'node' THEN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = %(id)s::uuid)
    END
FOR NO KEY UPDATE;
SELECT d.id::text
FROM plexsphere.domains AS d
WHERE d.id = CASE %(kind)s
        WHEN 'domain' THEN %(id)s::uuid
        WHEN 'node' THEN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = %(id)s::uuid)
    END;
