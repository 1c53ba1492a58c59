-- Heartbeats.

-- name: node_heartbeat
-- prepare: node_id uuid, client_now timestamptz, max_skew interval, time_offset interval
-- prepare: last_token text, is_the_node boolean, secret_key_digest bytea, issued_at timestamptz
-- db/heartbeat.py, PostgresHeartbeats, for a heartbeat that node_heartbeats did not write. max_skew is how far the client's clock may be off;
-- time_offset is zero in production; last_token is the ZedToken of the last permission check.
-- is_the_node: the caller is the Node, by a secret key with this digest or by a token that was issued
-- at this moment.
-- One row: the time, whether the clocks agree, whether the heartbeat was written, whether the Node
-- exists, the Node's ZedToken, and its credentials.
-- It writes one column, which no index and no trigger covers (migration 0003): the update stays HOT
-- and changes no peers_revision.
-- Index: nodes_pkey.
WITH moment AS (
    SELECT
        t.at,
        t.at BETWEEN %(client_now)s - %(max_skew)s AND %(client_now)s + %(max_skew)s AS clocks_agree
    FROM (SELECT statement_timestamp() + %(time_offset)s AS at) AS t
),
written AS (
    UPDATE plexsphere.nodes AS n
    SET last_heartbeat_at = m.at
    FROM moment AS m
    CROSS JOIN (
        SELECT
            %(last_token)s AS last_token,
            %(is_the_node)s AS is_of_the_node,
            %(secret_key_digest)s AS secret_key_digest,
            %(issued_at)s AS issued_at
    ) AS w
    WHERE n.id = %(node_id)s
        AND m.clocks_agree
        -- include: heartbeat_is_allowed
    RETURNING n.id
)
SELECT
    m.at,
    m.clocks_agree,
    EXISTS (SELECT FROM written),
    n.domain_id::text,
    n.authz_token,
    n.secret_key_digests,
    n.tokens_not_before
FROM moment AS m
LEFT JOIN plexsphere.nodes AS n ON n.id = %(node_id)s;

-- name: node_heartbeats
-- prepare: node_ids uuid[], client_nows timestamptz[], last_tokens text[], are_of_the_node boolean[]
-- prepare: secret_key_digests bytea[], issued_ats timestamptz[], max_skew interval, time_offset interval
-- db/heartbeat.py, PostgresHeartbeats: several heartbeats, each as node_heartbeat. A row for each that
-- was written: its place, the time, the Node's ZedToken. A Node whose row another transaction has locked
-- is left out, so that it delays no other Node and no order of locks can be wrong; so is the second of
-- two heartbeats of one Node.
-- Index: nodes_pkey.
WITH moment AS (
    SELECT statement_timestamp() + %(time_offset)s AS at
),
free AS MATERIALIZED (
    SELECT
        w.number,
        n.id
    FROM unnest(
        %(node_ids)s,
        %(client_nows)s,
        %(last_tokens)s,
        %(are_of_the_node)s,
        %(secret_key_digests)s,
        %(issued_ats)s
    ) WITH ORDINALITY
        AS w (node_id, client_now, last_token, is_of_the_node, secret_key_digest, issued_at, number)
    JOIN plexsphere.nodes AS n ON n.id = w.node_id
    CROSS JOIN moment AS m
    WHERE m.at BETWEEN w.client_now - %(max_skew)s AND w.client_now + %(max_skew)s
        -- include: heartbeat_is_allowed
    FOR NO KEY UPDATE OF n SKIP LOCKED
)
UPDATE plexsphere.nodes AS n
SET last_heartbeat_at = m.at
FROM free AS f
CROSS JOIN moment AS m
WHERE n.id = f.id
RETURNING f.number, m.at, n.authz_token;

-- fragment: heartbeat_is_allowed
-- Whether a heartbeat w, with what its caller has presented, may be written for a Node n: the last
-- permission check is of the Node's newest ZedToken, and the credential has not ended.
AND (n.authz_token IS NULL OR n.authz_token = w.last_token)
AND CASE
    WHEN NOT w.is_of_the_node THEN true
    WHEN w.secret_key_digest IS NOT NULL
        THEN w.secret_key_digest = ANY (n.secret_key_digests)
    ELSE n.tokens_not_before IS NULL OR coalesce(w.issued_at >= n.tokens_not_before, false)
END
