-- Domains: looked up, read, listed, created, changed, deleted.

-- name: domain_by_id
-- prepare: domain_id uuid
-- db/domains.py, PostgresDomainRepo.get_by_id (the gate that looks for the addressed Domain).
-- Index: domains_pkey.
SELECT d.authz_token
FROM plexsphere.domains AS d
WHERE d.id = %(domain_id)s;

-- name: domain_read
-- prepare: domain_id uuid
-- db/domains.py, PostgresDomainReader.read.
-- Indexes: domains_pkey, nodes_by_domain.
SELECT
    -- include: domain_columns
FROM plexsphere.domains AS d
WHERE d.id = %(domain_id)s;

-- name: domain_page
-- prepare: visible uuid[], after uuid, limit integer
-- db/domains.py, PostgresDomainReader.page. visible is NULL for every Domain; the first page begins
-- after the nil UUID.
-- Indexes: domains_pkey, nodes_by_domain.
SELECT
    d.id::text,
    -- include: domain_columns
FROM plexsphere.domains AS d
WHERE d.id > %(after)s
    AND (%(visible)s IS NULL OR d.id = ANY (%(visible)s))
ORDER BY d.id
LIMIT %(limit)s;

-- name: create_domain
-- prepare: name text, slug text, mesh_cidr cidr, description text, region text
-- prepare: heartbeat_interval interval, stale_after interval, unreachable_after interval
-- prepare: request_key text, request_meaning bytea, time_offset interval
-- prepare: domain_id uuid, event_key_id text, event_public_key bytea, event_private_key bytea
-- prepare: audit_relation text, audit_relation_of_repeat text, audit_subject text
-- prepare: correlation_id text
-- db/domains.py, PostgresDomainRegistry.create. request_key is the Idempotency-Key and
-- request_meaning the digest of the request that it came with; time_offset is zero in production.
-- Indexes, used by the functions (migrations 0012 and 0013): domains_slug_key, domains_by_range,
-- idempotency_keys_pkey, event_keys_current, domains_pkey, departed_pkey.
SELECT
    r.outcome,
    r.domain::text
FROM plexsphere.create_domain(
    %(name)s,
    %(slug)s,
    %(mesh_cidr)s,
    %(description)s,
    %(region)s,
    %(heartbeat_interval)s,
    %(stale_after)s,
    %(unreachable_after)s,
    %(request_key)s,
    %(request_meaning)s,
    %(time_offset)s,
    %(domain_id)s,
    %(event_key_id)s,
    %(event_public_key)s,
    %(event_private_key)s
) AS r
CROSS JOIN LATERAL plexsphere.record_write(
    CASE r.outcome
        WHEN 'created' THEN %(audit_relation)s
        WHEN 'found' THEN %(audit_relation_of_repeat)s
    END,
    %(audit_subject)s,
    'domain:' || r.domain,
    %(correlation_id)s
);

-- name: new_domain_id
-- prepare: time_offset interval
-- db/domains.py, PostgresDomainRegistry.create: the id to which an event key is bound before the
-- Domain exists. No table is read.
SELECT plexsphere.uuid_v7(statement_timestamp() + %(time_offset)s)::text;

-- name: update_domain
-- prepare: domain_id uuid, name text, description text, region text, sets_policy boolean
-- prepare: heartbeat_interval interval, stale_after interval, unreachable_after interval
-- prepare: time_offset interval, audit_relation text, audit_subject text, correlation_id text
-- db/domains.py, PostgresDomainRegistry.update. time_offset is zero in production.
-- Indexes, used by the functions (migrations 0012 and 0018): domains_pkey, departed_pkey.
SELECT r.outcome
FROM plexsphere.update_domain(
    %(domain_id)s,
    %(name)s,
    %(description)s,
    %(region)s,
    %(sets_policy)s,
    %(heartbeat_interval)s,
    %(stale_after)s,
    %(unreachable_after)s,
    %(time_offset)s
) AS r (outcome)
CROSS JOIN LATERAL plexsphere.record_write(
    CASE WHEN r.outcome IN ('updated', 'same') THEN %(audit_relation)s END,
    %(audit_subject)s,
    'domain:' || %(domain_id)s,
    %(correlation_id)s
);

-- name: delete_domain
-- prepare: domain_id uuid, audit_relation text, audit_subject text, correlation_id text
-- db/domains.py, PostgresDomainRegistry.delete.
-- Indexes, used by the functions (migrations 0009 and 0012): domains_pkey, nodes_by_domain,
-- idempotency_keys_by_object, departed_pkey.
SELECT
    r.outcome,
    r.nodes
FROM plexsphere.delete_domain(%(domain_id)s) AS r
CROSS JOIN LATERAL plexsphere.record_write(
    CASE WHEN r.outcome IN ('deleted', 'gone') THEN %(audit_relation)s END,
    %(audit_subject)s,
    'domain:' || %(domain_id)s,
    %(correlation_id)s
);

-- fragment: domain_columns
-- Of a Domain d, as _domain of db/domains.py reads them.
d.name,
d.slug,
d.description,
d.region,
d.mesh_cidr::text,
d.created_at,
coalesce(d.updated_at, d.created_at),
(SELECT count(*) FROM plexsphere.nodes AS n WHERE n.domain_id = d.id),
d.heartbeat_interval,
d.stale_after,
d.unreachable_after
