-- Credentials of Nodes.

-- name: secret_key_digests
-- prepare: node_id uuid, no_digest bytea
-- db/credentials.py, PostgresNodeCredentials.secret_key_digests (a secret key that this process has
-- not verified before).
-- It always returns one row with two digests, so that its time does not tell whether there is such a
-- Node; no_digest stands for a digest that is missing.
-- Index: nodes_pkey.
SELECT (
    coalesce(
        (SELECT n.secret_key_digests FROM plexsphere.nodes AS n WHERE n.id = %(node_id)s),
        '{}'
    ) || ARRAY[%(no_digest)s, %(no_digest)s]::bytea[]
)[1:2];

-- name: rotate_secret_key
-- prepare: node_id uuid, digest bytea
-- prepare: audit_relation text, audit_subject text, correlation_id text
-- db/credentials.py, PostgresNodeCredentials.rotate_secret_key. The newest key stands first. A write
-- that is sent again, because its answer was lost, changes nothing.
-- Indexes: nodes_pkey; of the function (migration 0012) departed_pkey. No index covers the column;
-- its trigger (migration 0016) tells the streams.
WITH changed AS (
    UPDATE plexsphere.nodes AS n
    SET secret_key_digests = CASE
        WHEN n.secret_key_digests[1] = %(digest)s THEN n.secret_key_digests
        ELSE ARRAY[%(digest)s::bytea] || n.secret_key_digests[1:1]
    END
    WHERE n.id = %(node_id)s
    RETURNING n.id
)
SELECT c.id
FROM changed AS c
CROSS JOIN LATERAL
-- include: node_recorded
;

-- name: record_token
-- prepare: node_id uuid, audit_relation text, audit_subject text, correlation_id text
-- db/credentials.py, PostgresNodeCredentials.record_token.
-- Indexes: nodes_pkey; of the function (migration 0012) departed_pkey.
SELECT c.id
FROM plexsphere.nodes AS c
CROSS JOIN LATERAL
-- include: node_recorded
WHERE c.id = %(node_id)s;

-- name: revoke_credentials
-- prepare: node_id uuid, time_offset interval
-- prepare: audit_relation text, audit_subject text, correlation_id text
-- db/credentials.py, PostgresNodeCredentials.revoke. The full second above the moment, because
-- tokens tell seconds; time_offset is zero in production.
-- Indexes: nodes_pkey; of the function (migration 0012) departed_pkey. No index covers the columns;
-- their trigger (migration 0016) tells the streams.
WITH changed AS (
    UPDATE plexsphere.nodes AS n
    SET secret_key_digests = '{}',
        tokens_not_before =
            date_trunc('second', statement_timestamp() + %(time_offset)s) + interval '1 second'
    WHERE n.id = %(node_id)s
    RETURNING n.id
)
SELECT c.id
FROM changed AS c
CROSS JOIN LATERAL
-- include: node_recorded
;

-- fragment: node_recorded
-- The audit row of a write of the Node that changed.
plexsphere.record_write(
    %(audit_relation)s,
    %(audit_subject)s,
    'node:' || c.id,
    %(correlation_id)s
)
