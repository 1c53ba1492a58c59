-- db/node_registry.py, PostgresNodeRegistry.deregister. $1 Node, $2 how far a test has moved time
-- (zero in production). Indexes: nodes_pkey, domains_pkey, idempotency_keys_by_object (0009).
PREPARE deregister_node (uuid, interval) AS
SELECT r.outcome
FROM plexsphere.deregister_node($1, $2) AS r (outcome);
