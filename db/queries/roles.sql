-- The roles that an operator grants and revokes.

-- name: role_change
-- db/roles.py, PostgresRoles.change: a role granted or revoked, its row of the outbox and its row of the
-- audit, in one message and so in one transaction. Every writer of the outbox locks the row of its
-- Domain first, or for the platform an advisory lock, so that seq grows in the order of commits.
-- Indexes: domains_pkey, nodes_pkey, role_grants_pkey, withheld_tuples_pkey.
SELECT pg_advisory_xact_lock(%(platform_lock)s) WHERE %(kind)s = 'platform';
SELECT
FROM plexsphere.domains AS d
WHERE d.id = CASE %(kind)s
        WHEN 'domain' THEN %(id)s::uuid
        WHEN 'node' THEN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = %(id)s::uuid)
    END
FOR NO KEY UPDATE;
-- The object is looked up under the locks: a Node may have been deleted meanwhile.
WITH place AS MATERIALIZED (
    SELECT NULL::uuid AS domain_id
    WHERE %(kind)s = 'platform'
    UNION ALL
    SELECT d.id
    FROM plexsphere.domains AS d
    WHERE d.id = CASE %(kind)s
            WHEN 'domain' THEN %(id)s::uuid
            WHEN 'node' THEN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = %(id)s::uuid)
        END
),
-- A Node's row implies that the Node is its own agent. That tuple is withheld, as there is no row of
-- role_grants to delete.
allowed AS MATERIALIZED (
    SELECT
        p.domain_id,
        %(relation)s = 'agent' AND %(subject)s = %(object)s AS is_implied
    FROM place AS p
    WHERE NOT %(keep_last)s
        OR (
            SELECT array_agg(g.subject) IS DISTINCT FROM ARRAY[%(subject)s]
            FROM plexsphere.role_grants AS g
            WHERE (g.object, g.relation) = (%(object)s, %(relation)s)
        )
),
inserted AS (
    INSERT INTO plexsphere.role_grants (object, relation, subject)
    SELECT %(object)s, %(relation)s, %(subject)s
    FROM allowed AS a
    WHERE %(granted)s AND NOT a.is_implied
    ON CONFLICT DO NOTHING
    RETURNING 1
),
deleted AS (
    DELETE FROM plexsphere.role_grants AS g
    USING allowed
    WHERE NOT %(granted)s
        AND (g.object, g.relation, g.subject) = (%(object)s, %(relation)s, %(subject)s)
    RETURNING 1
),
withheld AS (
    INSERT INTO plexsphere.withheld_tuples (object, relation, subject)
    SELECT %(object)s, %(relation)s, %(subject)s
    FROM allowed AS a
    WHERE NOT %(granted)s AND a.is_implied
    ON CONFLICT DO NOTHING
    RETURNING 1
),
restored AS (
    DELETE FROM plexsphere.withheld_tuples AS w
    USING allowed
    WHERE %(granted)s
        AND (w.object, w.relation, w.subject) = (%(object)s, %(relation)s, %(subject)s)
    RETURNING 1
),
change AS (
    SELECT
        EXISTS (SELECT FROM inserted)
            OR EXISTS (SELECT FROM deleted)
            OR EXISTS (SELECT FROM withheld)
            OR EXISTS (SELECT FROM restored) AS is_change
),
event AS (
    INSERT INTO plexsphere.outbox (domain_id, type, object, tuples)
    SELECT
        a.domain_id,
        CASE WHEN %(granted)s THEN 'role_granted' ELSE 'role_revoked' END,
        %(object)s,
        jsonb_build_array(jsonb_build_object(
            'operation', CASE WHEN %(granted)s THEN 'touch' ELSE 'delete' END,
            'resource', %(object)s,
            'relation', %(relation)s,
            'subject', %(subject)s
        ))
    FROM allowed AS a
),
audited AS (
    INSERT INTO plexsphere.audit_rows (domain_id, relation, outcome, subject, object)
    SELECT
        a.domain_id,
        CASE WHEN %(granted)s THEN 'role.grant' ELSE 'role.revoke' END
            || CASE WHEN c.is_change THEN '' ELSE '_again' END,
        'granted',
        %(operator)s,
        %(relationship)s
    FROM allowed AS a
    CROSS JOIN change AS c
)
SELECT
    EXISTS (SELECT FROM place),
    EXISTS (SELECT FROM allowed),
    c.is_change
FROM change AS c;

-- name: role_list
-- db/roles.py, PostgresRoles.on: who has a role on an object by the ledger: by a grant, or because a
-- Node's row implies it.
-- Indexes: role_grants_pkey, nodes_pkey, withheld_tuples_pkey.
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
