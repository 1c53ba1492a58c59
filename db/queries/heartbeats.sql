-- Heartbeats.

-- name: node_heartbeat
-- prepare: node_id uuid, client_now timestamptz, max_skew interval, time_offset interval
-- prepare: last_token text
-- db/heartbeats.py, PostgresHeartbeats.heartbeat. max_skew is how far the client's clock may be off;
-- time_offset is zero in production; last_token is the ZedToken of the last permission check.
-- One row: the time, whether the clocks agree, whether the heartbeat was written, whether the Node
-- exists, and the Node's ZedToken.
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
    RETURNING n.id
)
SELECT
    m.at,
    m.clocks_agree,
    EXISTS (SELECT FROM written),
    n.id IS NOT NULL,
    n.authz_token
FROM moment AS m
LEFT JOIN plexsphere.nodes AS n ON n.id = %(node_id)s;
