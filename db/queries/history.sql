-- What was served to a Node: the digests, from its audit rows, and the bodies that are kept.

-- name: node_history
-- db/history.py, node_history: what was granted to a Node's own agent, one row for each series of
-- grants with the same digest, the newest first.
-- Index: audit_rows_by_object of every day, merged.
SELECT
    s.digest,
    min(s.occurred_at) AS first_at,
    max(s.occurred_at) AS last_at,
    count(*) AS grants
FROM (
    SELECT
        g.digest,
        g.occurred_at,
        -- The number of changes so far: the same throughout a series.
        count(*) FILTER (WHERE g.is_new) OVER (ORDER BY g.occurred_at, g.seq) AS number
    FROM (
        SELECT
            a.seq,
            a.digest,
            a.occurred_at,
            a.digest IS DISTINCT FROM lag(a.digest) OVER (ORDER BY a.occurred_at, a.seq) AS is_new
        FROM plexsphere.audit_rows AS a
        WHERE a.object = %(object)s
            AND a.relation = 'node_state.pull'
            AND a.outcome = 'granted'
            AND a.subject = a.object
            AND a.digest IS NOT NULL
            AND isfinite(a.occurred_at)
    ) AS g
) AS s
GROUP BY s.number, s.digest
ORDER BY s.number DESC
LIMIT %(limit)s;

-- name: node_bodies
-- db/history.py, node_bodies: the bodies that are kept of a Node, the newest first.
-- Index: node_bodies_pkey.
SELECT b.digest, b.served_at, b.bytes, b.body
FROM plexsphere.node_bodies AS b
WHERE b.node_id = %(node_id)s
ORDER BY b.served_at DESC, b.digest;

-- name: node_exists
-- db/history.py, node_exists: a row when the Node is registered.
-- Index: nodes_pkey.
SELECT TRUE
FROM plexsphere.nodes AS n
WHERE n.id = %(node_id)s;

-- fragment: locked_nodes
-- The Nodes that are not being deleted: SKIP LOCKED, so that no transaction waits here.
SELECT n.id
FROM plexsphere.nodes AS n
WHERE n.id = ANY (%(node_id)s::uuid[])
ORDER BY n.id
FOR KEY SHARE SKIP LOCKED

-- name: node_bodies_missing
-- db/history.py, write_bodies: which of the bodies just served the ledger does not have yet. Two
-- statements in one transaction; the writers take turns.
-- Indexes: nodes_pkey, node_bodies_pkey.
SELECT pg_advisory_xact_lock(%(lock)s);
WITH locked AS MATERIALIZED (
    -- include: locked_nodes
),
sent AS MATERIALIZED (
    SELECT
        l.id AS node_id,
        r.digest,
        %(now)s::timestamptz - make_interval(secs => r.age) AS at
    FROM unnest(%(age)s::float8[], %(node_id)s::uuid[], %(digest)s::text[])
        AS r (age, node_id, digest)
    JOIN locked AS l ON l.id = r.node_id
),
-- A body that is served again becomes the newest again. The row of the newest body is not written,
-- because every pull comes through this statement.
served_again AS (
    UPDATE plexsphere.node_bodies AS b
    SET served_at = s.at
    FROM sent AS s
    WHERE b.node_id = s.node_id
        AND b.digest = s.digest
        AND b.served_at < s.at
        AND (
            EXISTS (
                SELECT FROM plexsphere.node_bodies AS o
                WHERE o.node_id = b.node_id
                    AND o.served_at > b.served_at
            )
            OR EXISTS (
                SELECT FROM sent AS o
                WHERE o.node_id = s.node_id
                    AND o.digest <> s.digest
            )
        )
)
SELECT s.node_id::text, s.digest
FROM sent AS s
WHERE NOT EXISTS (
    SELECT FROM plexsphere.node_bodies AS b
    WHERE b.node_id = s.node_id
        AND b.digest = s.digest
);

-- name: node_bodies_write
-- db/history.py, write_bodies: the bodies that are missing. For each Node the oldest bodies beyond
-- per_node are deleted. Two statements in one transaction; the writers take turns.
-- Indexes: nodes_pkey, node_bodies_pkey.
SELECT pg_advisory_xact_lock(%(lock)s);
WITH locked AS MATERIALIZED (
    -- include: locked_nodes
),
-- Without the bodies that another writer has written meanwhile.
new AS MATERIALIZED (
    SELECT
        l.id AS node_id,
        r.digest,
        %(now)s::timestamptz - make_interval(secs => r.age) AS served_at,
        r.bytes,
        r.body
    FROM unnest(
        %(age)s::float8[],
        %(node_id)s::uuid[],
        %(digest)s::text[],
        %(bytes)s::integer[],
        %(body)s::bytea[]
    ) AS r (age, node_id, digest, bytes, body)
    JOIN locked AS l ON l.id = r.node_id
    WHERE NOT EXISTS (
        SELECT FROM plexsphere.node_bodies AS b
        WHERE b.node_id = r.node_id
            AND b.digest = r.digest
    )
),
ranked AS (
    SELECT
        c.node_id,
        c.digest,
        row_number() OVER (PARTITION BY c.node_id ORDER BY c.served_at DESC, c.digest) AS rank
    FROM (
        SELECT n.node_id, n.digest, n.served_at
        FROM new AS n
        UNION ALL
        SELECT b.node_id, b.digest, b.served_at
        FROM plexsphere.node_bodies AS b
        WHERE b.node_id IN (SELECT n.node_id FROM new AS n)
    ) AS c
),
deleted AS (
    DELETE FROM plexsphere.node_bodies AS b
    USING ranked AS r
    WHERE b.node_id = r.node_id
        AND b.digest = r.digest
        AND r.rank > %(per_node)s
)
INSERT INTO plexsphere.node_bodies (node_id, digest, served_at, bytes, body)
SELECT n.node_id, n.digest, n.served_at, n.bytes, n.body
FROM new AS n
JOIN ranked AS r ON r.node_id = n.node_id AND r.digest = n.digest
WHERE r.rank <= %(per_node)s;
