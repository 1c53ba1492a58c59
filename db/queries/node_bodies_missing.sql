-- db/body_batch.py: which of the bodies that were just served the ledger has not yet. Two statements,
-- one transaction; writers take turns. Indexes: nodes_pkey, node_bodies_pkey.
SELECT pg_advisory_xact_lock(%(turn)s);

-- A Node that is being deleted is left alone: nobody waits for anybody here.
WITH held AS MATERIALIZED (
    SELECT n.id
    FROM plexsphere.nodes AS n
    WHERE n.id = ANY (%(node_id)s::uuid[])
    ORDER BY n.id
    FOR KEY SHARE SKIP LOCKED
),
sent AS MATERIALIZED (
    SELECT
        h.id AS node_id,
        r.digest,
        %(now)s::timestamptz - make_interval(secs => r.age) AS at
    FROM unnest(%(age)s::float8[], %(node_id)s::uuid[], %(digest)s::text[])
        AS r (age, node_id, digest)
    JOIN held AS h ON h.id = r.node_id
),
-- One that comes back is the newest again. One that is the newest already stays untouched, because
-- every pull comes by here.
came_back AS (
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
