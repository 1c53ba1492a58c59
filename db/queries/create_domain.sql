-- db/domain_registry.py, PostgresDomainRegistry.create. $1 name, $2 slug, $3 range, $4 description,
-- $5 region, $6 to $8 the reachability policy, $9 Idempotency-Key and $10 what it came with, $11 how
-- far a test has moved time (zero in production). Indexes: domains_slug_key, domains_by_range,
-- idempotency_keys_pkey, in the function (0009).
PREPARE create_domain (
    text, text, cidr, text, text, interval, interval, interval, text, bytea, interval) AS
SELECT
    r.outcome,
    r.domain::text
FROM plexsphere.create_domain($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS r;
