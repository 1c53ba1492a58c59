-- db/grants.py, a role given or taken back, and its row of the outbox. Indexes: the primary keys.
-- What a Node's row implies by itself (its own agent) is withheld instead of forgotten.
WITH implied AS (
    SELECT %(relation)s = 'agent' AND %(subject)s = %(object)s AS by_row
),
given AS (
    INSERT INTO plexsphere.role_grants (object, relation, subject)
    SELECT %(object)s, %(relation)s, %(subject)s
    FROM implied AS i
    WHERE %(granted)s AND NOT i.by_row
    ON CONFLICT DO NOTHING
    RETURNING 1
),
taken AS (
    DELETE FROM plexsphere.role_grants AS g
    WHERE NOT %(granted)s
        AND (g.object, g.relation, g.subject) = (%(object)s, %(relation)s, %(subject)s)
    RETURNING 1
),
withheld AS (
    INSERT INTO plexsphere.withheld_tuples (object, relation, subject)
    SELECT %(object)s, %(relation)s, %(subject)s
    FROM implied AS i
    WHERE NOT %(granted)s AND i.by_row
    ON CONFLICT DO NOTHING
    RETURNING 1
),
returned AS (
    DELETE FROM plexsphere.withheld_tuples AS w
    WHERE %(granted)s
        AND (w.object, w.relation, w.subject) = (%(object)s, %(relation)s, %(subject)s)
    RETURNING 1
),
told AS (
    INSERT INTO plexsphere.outbox (domain_id, type, object, tuples)
    VALUES (
        %(domain_id)s::uuid,
        CASE WHEN %(granted)s THEN 'role_granted' ELSE 'role_revoked' END,
        %(object)s,
        jsonb_build_array(jsonb_build_object(
            'operation', CASE WHEN %(granted)s THEN 'touch' ELSE 'delete' END,
            'resource', %(object)s,
            'relation', %(relation)s,
            'subject', %(subject)s
        ))
    )
    RETURNING seq
)
SELECT
    EXISTS (SELECT FROM given)
        OR EXISTS (SELECT FROM taken)
        OR EXISTS (SELECT FROM withheld)
        OR EXISTS (SELECT FROM returned)
FROM told;
