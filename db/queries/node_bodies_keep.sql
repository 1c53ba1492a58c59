-- db/body_batch.py: bodies that the ledger lacks; with each one its Node's oldest beyond what is to
-- be kept goes. Two statements, one transaction. Indexes: nodes_pkey, node_bodies_pkey.
SELECT pg_advisory_xact_lock(%(turn)s);

WITH held AS MATERIALIZED (
    SELECT n.id
    FROM plexsphere.nodes AS n
    WHERE n.id = ANY (%(node_id)s::uuid[])
    ORDER BY n.id
    FOR KEY SHARE SKIP LOCKED
),
-- Without what another writer brought meanwhile.
fresh AS MATERIALIZED (
    SELECT
        h.id AS node_id,
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
    JOIN held AS h ON h.id = r.node_id
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
        row_number() OVER (PARTITION BY c.node_id ORDER BY c.served_at DESC, c.digest) AS place
    FROM (
        SELECT f.node_id, f.digest, f.served_at
        FROM fresh AS f
        UNION ALL
        SELECT b.node_id, b.digest, b.served_at
        FROM plexsphere.node_bodies AS b
        WHERE b.node_id IN (SELECT f.node_id FROM fresh AS f)
    ) AS c
),
outdated AS (
    DELETE FROM plexsphere.node_bodies AS b
    USING ranked AS r
    WHERE b.node_id = r.node_id
        AND b.digest = r.digest
        AND r.place > %(per_node)s
)
INSERT INTO plexsphere.node_bodies (node_id, digest, served_at, bytes, body)
SELECT f.node_id, f.digest, f.served_at, f.bytes, f.body
FROM fresh AS f
JOIN ranked AS r ON r.node_id = f.node_id AND r.digest = f.digest
WHERE r.place <= %(per_node)s;
