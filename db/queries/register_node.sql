-- db/node_registry.py, PostgresNodeRegistry.register. $1 Domain, $2 public key, $3 name, $4
-- Idempotency-Key and $5 what it came with, $6 for how long a released address is held off, $7 how
-- far a test has moved time (zero in production).
-- Indexes: domains_pkey, idempotency_keys_pkey, nodes_by_key, nodes_by_address,
-- released_addresses_pkey and released_addresses_by_age, in the function (0009).
PREPARE register_node (uuid, bytea, text, text, bytea, interval, interval) AS
SELECT
    r.outcome,
    r.node::text,
    host(r.address),
    r.mesh_range::text
FROM plexsphere.register_node($1, $2, $3, $4, $5, $6, $7) AS r;
