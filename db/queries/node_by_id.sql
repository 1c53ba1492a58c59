-- db/nodes.py, PostgresNodeRepo.get_by_id (gate 3). $1 Node. Index: nodes_pkey.
PREPARE node_by_id (uuid) AS
SELECT
    n.domain_id::text,
    n.authz_token
FROM plexsphere.nodes AS n
WHERE n.id = $1;
