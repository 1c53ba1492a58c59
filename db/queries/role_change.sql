-- db/grants.py, a role given or taken back, its row of the outbox and its row of the audit: one
-- message, so one transaction in one round trip. Indexes: domains_pkey, nodes_pkey, role_grants_pkey,
-- withheld_tuples_pkey.
-- A writer of the outbox holds its Domain's row (0006), and one about the platform this lock, so that
-- seq grows in commit order; then, for the same reason, the turn of the audit's writers
-- (audit_insert.sql).
SELECT pg_advisory_xact_lock(%(platform_lock)s) WHERE %(kind)s = 'platform';
SELECT
FROM plexsphere.domains AS d
WHERE d.id = CASE %(kind)s
        WHEN 'domain' THEN %(id)s::uuid
        WHEN 'node' THEN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = %(id)s::uuid)
    END
FOR NO KEY UPDATE;
SELECT pg_advisory_xact_lock(%(audit_turn)s);

-- The object is looked for behind the locks: a Node may have gone meanwhile.
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
-- What a Node's row implies by itself (its own agent) is withheld instead of forgotten.
allowed AS MATERIALIZED (
    SELECT
        p.domain_id,
        %(relation)s = 'agent' AND %(subject)s = %(object)s AS by_row
    FROM place AS p
    WHERE NOT %(keep_last)s
        OR (
            SELECT array_agg(g.subject) IS DISTINCT FROM ARRAY[%(subject)s]
            FROM plexsphere.role_grants AS g
            WHERE (g.object, g.relation) = (%(object)s, %(relation)s)
        )
),
given AS (
    INSERT INTO plexsphere.role_grants (object, relation, subject)
    SELECT %(object)s, %(relation)s, %(subject)s
    FROM allowed AS a
    WHERE %(granted)s AND NOT a.by_row
    ON CONFLICT DO NOTHING
    RETURNING 1
),
taken AS (
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
    WHERE NOT %(granted)s AND a.by_row
    ON CONFLICT DO NOTHING
    RETURNING 1
),
returned AS (
    DELETE FROM plexsphere.withheld_tuples AS w
    USING allowed
    WHERE %(granted)s
        AND (w.object, w.relation, w.subject) = (%(object)s, %(relation)s, %(subject)s)
    RETURNING 1
),
changed AS (
    SELECT
        EXISTS (SELECT FROM given)
            OR EXISTS (SELECT FROM taken)
            OR EXISTS (SELECT FROM withheld)
            OR EXISTS (SELECT FROM returned) AS is_so
),
told AS (
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
recorded AS (
    INSERT INTO plexsphere.audit_rows (domain_id, relation, outcome, subject, object)
    SELECT
        a.domain_id,
        CASE WHEN %(granted)s THEN 'role.grant' ELSE 'role.revoke' END
            || CASE WHEN c.is_so THEN '' ELSE '_again' END,
        'granted',
        %(operator)s,
        %(relationship)s
    FROM allowed AS a
    CROSS JOIN changed AS c
)
SELECT
    EXISTS (SELECT FROM place),
    EXISTS (SELECT FROM allowed),
    c.is_so
FROM changed AS c;
