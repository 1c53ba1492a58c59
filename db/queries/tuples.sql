-- The tuples that SpiceDB must have by the ledger, and the repair of a SpiceDB that has others.

-- name: implied_tuples
-- db/tuples.py, TupleLedger.implied, and db/bulk.py, implied_tuples.
-- No index: it reads nodes, domains and role_grants whole, and runs seldom.
SELECT
    i.object,
    i.relation,
    i.subject
FROM plexsphere.implied_tuples AS i
ORDER BY 1, 2, 3;

-- name: last_changes
-- db/bulk.py, last_changes.
-- No index: it reads fences whole, and runs seldom.
SELECT
    f.object,
    f.number
FROM plexsphere.fences AS f;

-- name: objects_waiting
-- db/tuples.py, TupleLedger.waiting: the objects whose rows are not yet sent to SpiceDB.
-- Index: outbox_waiting.
SELECT DISTINCT o.object
FROM plexsphere.outbox AS o
WHERE o.drained_at IS NULL
    AND o.parked_at IS NULL;

-- name: mend_tuples
-- db/tuples.py, TupleLedger.repair: each tuple that differs is compared with the ledger again under the
-- locks of all writers, and is then sent to SpiceDB as every other change is, with an audit row. One
-- message, so one transaction. The locks are taken in the order of role_change.
-- Indexes: the primary keys; implied_tuples is read whole.
SELECT pg_advisory_xact_lock(%(platform_lock)s);
SELECT d.id
FROM plexsphere.domains AS d
WHERE d.id = ANY (%(domains)s::uuid[])
    OR d.id IN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = ANY (%(nodes)s::uuid[]))
ORDER BY d.id
FOR NO KEY UPDATE;
WITH differing AS (
    SELECT t.*
    FROM unnest(
        %(objects)s::text[],
        %(relations)s::text[],
        %(subjects)s::text[],
        %(domains)s::uuid[],
        %(nodes)s::uuid[],
        %(relationships)s::text[]
    ) WITH ORDINALITY
        AS t (object, relation, subject, domain_id, node_id, relationship, position)
),
implied AS MATERIALIZED (
    SELECT
        i.object,
        i.relation,
        i.subject
    FROM plexsphere.implied_tuples AS i
    WHERE i.object IN (SELECT t.object FROM differing AS t)
),
changes AS (
    SELECT
        t.*,
        i.object IS NOT NULL AS is_implied
    FROM differing AS t
    LEFT JOIN implied AS i
        ON (i.object, i.relation, i.subject) = (t.object, t.relation, t.subject)
),
events AS (
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
-- Each row with the Domain of its object, or the Domain that a deleted object had, as audit_insert.
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

-- name: close_parked
-- db/tuples.py, TupleLedger.close_parked, after a repair: a parked row of an object on which SpiceDB
-- and the ledger agree is not needed any more.
-- Index: outbox_waiting.
UPDATE plexsphere.outbox AS o
SET drained_at = clock_timestamp()
WHERE o.drained_at IS NULL
    AND o.parked_at IS NOT NULL
    AND o.object <> ALL (%(differing)s::text[])
RETURNING o.seq;

-- name: comparison_begin
-- db/tuples.py, TupleLedger.begin_comparison: a row where a comparison is due, which is then begun. A
-- pause of 20 times the length of the last one bounds the cost, whatever the interval is.
-- Index: tuple_comparison_pkey.
UPDATE plexsphere.tuple_comparison AS c
SET begun_at = clock_timestamp()
WHERE c.is_only
    AND (
        c.begun_at IS NULL
        OR c.begun_at
            + greatest(%(interval)s::interval, 20 * make_interval(secs => c.seconds))
            <= clock_timestamp()
    )
RETURNING 1;

-- name: comparison_end
-- db/tuples.py, TupleLedger.end_comparison.
-- Index: tuple_comparison_pkey.
UPDATE plexsphere.tuple_comparison AS c
SET ended_at = clock_timestamp(),
    seconds = extract(epoch FROM clock_timestamp() - c.begun_at),
    tuples = %(tuples)s,
    differences = %(differences)s,
    mended = c.mended + %(differences)s
WHERE c.is_only;

-- name: comparison_last
-- db/health.py, read_lag: the age of the last comparison in seconds, the tuples that differed, and
-- the tuples that all comparisons have mended.
-- Index: tuple_comparison_pkey.
SELECT
    extract(epoch FROM clock_timestamp() - c.ended_at)::float8,
    c.differences,
    c.mended
FROM plexsphere.tuple_comparison AS c
WHERE c.is_only;

-- name: forget_authz_tokens
-- db/bulk.py, forget_authz_tokens, when a development SpiceDB starts empty.
-- No index: it reads nodes and domains whole, and runs seldom.
WITH nodes AS (
    UPDATE plexsphere.nodes
    SET authz_token = NULL
    WHERE authz_token IS NOT NULL
)
UPDATE plexsphere.domains
SET authz_token = NULL
WHERE authz_token IS NOT NULL;

-- name: node_ids
-- db/bulk.py, node_ids, when a development SpiceDB is filled from the ledger.
-- Index: nodes_pkey, in order.
SELECT n.id::text
FROM plexsphere.nodes AS n
ORDER BY n.id;
