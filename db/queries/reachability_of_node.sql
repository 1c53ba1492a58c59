-- db/verdicts.py, PostgresReachabilityRepo.of_node. $1 Node. Index: nodes_pkey.
-- The same column, made the same way, as in snapshot_for_node.sql.
PREPARE reachability_of_node (uuid) AS
SELECT
    json_build_array(
        n.reachability_state,
        n.last_heartbeat_at AT TIME ZONE 'UTC',
        n.changed_at AT TIME ZONE 'UTC'
    )::text
FROM plexsphere.nodes AS n
WHERE n.id = $1;
