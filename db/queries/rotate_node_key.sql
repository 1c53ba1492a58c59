-- db/node_registry.py, PostgresNodeRegistry.rotate_key. $1 Node, $2 public key. Indexes: nodes_pkey,
-- domains_pkey, nodes_by_key (0009).
PREPARE rotate_node_key (uuid, bytea) AS
SELECT r.outcome
FROM plexsphere.rotate_node_key($1, $2) AS r (outcome);
