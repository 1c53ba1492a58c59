-- db/audit_batch.py, a batch of rows in the order they were recorded: two statements, one
-- transaction. Indexes: audit_writers_pkey, nodes_pkey, domains_pkey, departed_pkey, node_pulls_pkey.
-- Writers take turns (released at commit), so seq grows in commit order and a follower that asks
-- for what came after the last seq it saw misses nothing. The turn is a statement of its own, so that
-- the next one sees all that the writer before it wrote.
SELECT pg_advisory_xact_lock(%(turn)s);

-- A batch sent twice is written once: what became of the first attempt may be unknown.
WITH fresh AS (
    INSERT INTO plexsphere.audit_writers AS w (writer, batch, written_at)
    VALUES (%(writer)s, %(batch)s, statement_timestamp())
    ON CONFLICT (writer) DO UPDATE
    SET batch = EXCLUDED.batch, written_at = EXCLUDED.written_at
    WHERE w.batch < EXCLUDED.batch
    RETURNING w.writer
),
-- With the Domain of the Node or the Domain that each object names, or named while it was there.
sent AS MATERIALIZED (
    SELECT
        r.position,
        %(now)s::timestamptz - make_interval(secs => r.age) AS at,
        coalesce(n.domain_id, d.id, p.domain_id) AS domain_id,
        n.id AS node_id,
        r.relation,
        r.outcome,
        r.subject,
        r.object,
        r.correlation_id,
        r.digest
    FROM fresh
    CROSS JOIN unnest(
        %(age)s::float8[],
        %(node_id)s::uuid[],
        %(domain_id)s::uuid[],
        %(relation)s::text[],
        %(outcome)s::text[],
        %(subject)s::text[],
        %(object)s::text[],
        %(correlation_id)s::text[],
        %(digest)s::text[]
    ) WITH ORDINALITY AS r (
        age, node_id, domain_id, relation, outcome, subject, object, correlation_id, digest, position
    )
    LEFT JOIN plexsphere.nodes AS n ON n.id = r.node_id
    LEFT JOIN plexsphere.domains AS d ON d.id = r.domain_id
    LEFT JOIN plexsphere.departed AS p ON p.object = r.object
),
written AS (
    INSERT INTO plexsphere.audit_rows
        (occurred_at, domain_id, relation, outcome, subject, object, correlation_id, digest)
    SELECT
        s.at,
        s.domain_id,
        s.relation,
        s.outcome,
        s.subject,
        s.object,
        s.correlation_id,
        s.digest
    FROM sent AS s
    ORDER BY s.position
),
-- What each Node's own agent was granted, by time: workers write their batches in any order. Whoever
-- else may pull it applies nothing, and a HEAD, whose row has no digest, brings nothing to apply.
pulls AS (
    SELECT s.node_id, s.digest, s.at, s.position
    FROM sent AS s
    WHERE s.node_id IS NOT NULL
        AND s.relation = 'node_state.pull'
        AND s.outcome = 'granted'
        AND s.subject = s.object
        AND s.digest IS NOT NULL
),
points AS (
    SELECT b.node_id, b.digest, b.at, b.position
    FROM pulls AS b
    UNION ALL
    SELECT k.node_id, k.digest, e.at, e.position
    FROM plexsphere.node_pulls AS k
    CROSS JOIN LATERAL (VALUES (k.since, -1), (k.granted_at, 0)) AS e (at, position)
    WHERE k.node_id IN (SELECT b.node_id FROM pulls AS b)
),
named AS (
    SELECT o.*, first_value(o.digest) OVER newest AS last_digest
    FROM points AS o
    WINDOW newest AS (PARTITION BY o.node_id ORDER BY o.at DESC, o.position DESC)
),
counted AS (
    SELECT m.*, count(*) FILTER (WHERE m.digest <> m.last_digest) OVER newest AS others_since
    FROM named AS m
    WINDOW newest AS (PARTITION BY m.node_id ORDER BY m.at DESC, m.position DESC)
)
INSERT INTO plexsphere.node_pulls (node_id, digest, granted_at, since)
SELECT c.node_id, c.digest, max(c.at), min(c.at)
FROM counted AS c
WHERE c.others_since = 0
GROUP BY c.node_id, c.digest
-- Whoever else locks these rows does so in this order too.
ORDER BY c.node_id
ON CONFLICT (node_id) DO UPDATE
SET digest = EXCLUDED.digest, granted_at = EXCLUDED.granted_at, since = EXCLUDED.since;
