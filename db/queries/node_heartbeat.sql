-- db/heartbeats.py, PostgresHeartbeats.heartbeat. $1 Node, $2 the client's moment, $3 how far it may
-- be off, $4 how far a test has moved time (zero in production), $5 the ZedToken that gate 2 was last
-- decided at. Index: nodes_pkey.
-- Writes one column, which no index and no trigger covers (0003): the update stays HOT and bumps no
-- peers_revision. One row: the moment, whether the clocks agree, whether it was written, whether
-- there is such a Node, and its token.
PREPARE node_heartbeat (uuid, timestamptz, interval, interval, text) AS
WITH heard AS (
    SELECT
        m.at,
        m.at BETWEEN $2 - $3 AND $2 + $3 AS in_step
    FROM (SELECT statement_timestamp() + $4 AS at) AS m
),
written AS (
    UPDATE plexsphere.nodes AS n
    SET last_heartbeat_at = h.at
    FROM heard AS h
    WHERE n.id = $1
        AND h.in_step
        AND (n.authz_token IS NULL OR n.authz_token = $5)
    RETURNING n.id
)
SELECT
    h.at,
    h.in_step,
    EXISTS (SELECT FROM written),
    n.id IS NOT NULL,
    n.authz_token
FROM heard AS h
LEFT JOIN plexsphere.nodes AS n ON n.id = $1;
