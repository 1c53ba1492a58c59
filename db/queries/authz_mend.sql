-- db/tuples.py, a repair: what differs is looked at once more behind the locks of all writers, goes
-- to SpiceDB as every other change does, and into the audit. One message, so one transaction.
-- Indexes: the primary keys; scans implied_tuples. The locks in the order of role_change.sql.
SELECT pg_advisory_xact_lock(%(platform_lock)s);
SELECT d.id
FROM plexsphere.domains AS d
WHERE d.id = ANY (%(domains)s::uuid[])
    OR d.id IN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = ANY (%(nodes)s::uuid[]))
ORDER BY d.id
FOR NO KEY UPDATE;
SELECT pg_advisory_xact_lock(%(audit_turn)s);
WITH found AS (
    SELECT f.*
    FROM unnest(
        %(objects)s::text[],
        %(relations)s::text[],
        %(subjects)s::text[],
        %(domains)s::uuid[],
        %(nodes)s::uuid[],
        %(relationships)s::text[]
    ) WITH ORDINALITY
        AS f (object, relation, subject, domain_id, node_id, relationship, position)
),
implied AS MATERIALIZED (
    SELECT
        i.object,
        i.relation,
        i.subject
    FROM plexsphere.implied_tuples AS i
    WHERE i.object IN (SELECT f.object FROM found AS f)
),
changes AS (
    SELECT
        f.*,
        i.object IS NOT NULL AS is_implied
    FROM found AS f
    LEFT JOIN implied AS i
        ON (i.object, i.relation, i.subject) = (f.object, f.relation, f.subject)
),
told AS (
    INSERT INTO plexsphere.outbox (type, object, tuples)
    SELECT
        'tuples_mended',
        c.object,
        jsonb_agg(jsonb_build_object(
            'operation', CASE WHEN c.is_implied THEN 'touch' ELSE 'delete' END,
            'resource', c.object,
            'relation', c.relation,
            'subject', c.subject
        ))
    FROM changes AS c
    GROUP BY c.object
    ORDER BY c.object
)
-- With the Domain of each object, or the one it had while it was there, as audit_insert.sql.
INSERT INTO plexsphere.audit_rows (domain_id, relation, outcome, subject, object)
SELECT
    coalesce(n.domain_id, d.id, p.domain_id),
    CASE WHEN c.is_implied THEN 'relationship.restore' ELSE 'relationship.remove' END,
    'granted',
    %(operator)s,
    c.relationship
FROM changes AS c
LEFT JOIN plexsphere.nodes AS n ON n.id = c.node_id
LEFT JOIN plexsphere.domains AS d ON d.id = c.domain_id
LEFT JOIN plexsphere.departed AS p ON p.object = c.object
ORDER BY c.position;
