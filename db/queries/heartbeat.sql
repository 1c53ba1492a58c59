-- Heartbeats.

-- name: node_heartbeat
-- prepare: node_id uuid, client_now timestamptz, max_skew interval, time_offset interval
-- prepare: last_token text, is_the_node boolean, secret_key_digest bytea, issued_at timestamptz
-- db/heartbeat.py, PostgresHeartbeats.heartbeat. max_skew is how far the client's clock may be off;
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
    WHERE n.id = %(node_id)s
        AND m.clocks_agree
        AND (n.authz_token IS NULL OR n.authz_token = %(last_token)s)
        AND CASE
            WHEN NOT %(is_the_node)s THEN true
            WHEN %(secret_key_digest)s IS NOT NULL
                THEN %(secret_key_digest)s = ANY (n.secret_key_digests)
            ELSE n.tokens_not_before IS NULL OR coalesce(%(issued_at)s >= n.tokens_not_before, false)
        END
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
