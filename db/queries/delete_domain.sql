-- db/domain_registry.py, PostgresDomainRegistry.delete. $1 Domain. Indexes: domains_pkey,
-- nodes_by_domain, idempotency_keys_by_object (0009).
PREPARE delete_domain (uuid) AS
SELECT r.outcome, r.nodes
FROM plexsphere.delete_domain($1) AS r;
