-- db/tuples.py, a repair: what differs is looked at once more behind the locks of all writers, and
-- goes to SpiceDB as every other change does. Indexes: the primary keys; scans implied_tuples.
BEGIN;
SELECT pg_advisory_xact_lock(%(key)s);
SELECT d.id
FROM plexsphere.domains AS d
WHERE d.id = ANY (%(domains)s::uuid[])
    OR d.id IN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = ANY (%(nodes)s::uuid[]))
ORDER BY d.id
FOR NO KEY UPDATE;
WITH found AS (
    SELECT
        f.object,
        f.relation,
        f.subject
    FROM unnest(%(objects)s::text[], %(relations)s::text[], %(subjects)s::text[])
        AS f (object, relation, subject)
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
        f.object,
        jsonb_build_object(
            'operation', CASE WHEN i.object IS NULL THEN 'delete' ELSE 'touch' END,
            'resource', f.object,
            'relation', f.relation,
            'subject', f.subject
        ) AS change
    FROM found AS f
    LEFT JOIN implied AS i
        ON (i.object, i.relation, i.subject) = (f.object, f.relation, f.subject)
)
INSERT INTO plexsphere.outbox (type, object, tuples)
SELECT
    'tuples_mended',
    c.object,
    jsonb_agg(c.change)
FROM changes AS c
GROUP BY c.object
ORDER BY c.object;
COMMIT;
