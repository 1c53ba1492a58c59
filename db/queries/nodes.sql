-- Nodes: looked up, listed, registered, deregistered; the notifications of lost access.

-- name: node_by_id
-- prepare: node_id uuid
-- db/nodes.py, PostgresNodeRepo.get_by_id (the gate that looks for the addressed Node).
-- Indexes: nodes_pkey, announced_blocks_pkey.
SELECT
    n.domain_id::text,
    n.authz_token,
    n.secret_key_digests,
    n.tokens_not_before,
    (
        SELECT a.joined_seq
        FROM plexsphere.announced_blocks AS a
        WHERE a.node_id = n.id
            AND a.block = 'peer'
    )
FROM plexsphere.nodes AS n
WHERE n.id = %(node_id)s;

-- name: domain_nodes
-- prepare: domain_ids uuid[], after uuid, limit integer
-- db/nodes.py, PostgresDomainNodes.page. The first page begins after the nil UUID. No more than
-- limit Nodes of each Domain are read.
-- Index: nodes_by_domain.
SELECT
    n.id::text,
    d.id::text,
    n.name,
    host(n.mesh_ip),
    n.created_at
FROM unnest(%(domain_ids)s) AS d (id)
CROSS JOIN LATERAL (
    SELECT
        m.id,
        m.name,
        m.mesh_ip,
        m.created_at
    FROM plexsphere.nodes AS m
    WHERE m.domain_id = d.id
        AND m.id > %(after)s
    ORDER BY m.id
    LIMIT %(limit)s
) AS n
ORDER BY n.id
LIMIT %(limit)s;

-- name: all_nodes
-- prepare: after uuid, limit integer
-- db/nodes.py, PostgresDomainNodes.page, for a caller that may see every Domain.
-- Index: nodes_pkey.
SELECT
    n.id::text,
    n.domain_id::text,
    n.name,
    host(n.mesh_ip),
    n.created_at
FROM plexsphere.nodes AS n
WHERE n.id > %(after)s
ORDER BY n.id
LIMIT %(limit)s;

-- name: register_node
-- prepare: domain_id uuid, public_key bytea, name text, request_key text, request_meaning bytea
-- prepare: secret_key_digest bytea, hold_off interval, time_offset interval, node_quota integer
-- prepare: audit_relation text, audit_relation_of_repeat text, audit_subject text
-- prepare: correlation_id text
-- db/nodes.py, PostgresNodeRegistry.register. request_key is the Idempotency-Key and request_meaning
-- the digest of the request that it came with; a released address is not given out again before
-- hold_off has passed; time_offset is zero in production.
-- Indexes, used by the functions (migrations 0012 and 0024): domains_pkey, idempotency_keys_pkey,
-- nodes_by_key, nodes_by_address, released_addresses_pkey, released_addresses_by_age, nodes_pkey,
-- departed_pkey.
SELECT
    r.outcome,
    r.node::text,
    host(r.address),
    r.mesh_range::text,
    r.tokens_not_before
FROM plexsphere.register_node(
    %(domain_id)s,
    %(public_key)s,
    %(name)s,
    %(request_key)s,
    %(request_meaning)s,
    %(secret_key_digest)s,
    %(hold_off)s,
    %(time_offset)s,
    %(node_quota)s
) AS r
CROSS JOIN LATERAL plexsphere.record_write(
    CASE r.outcome
        WHEN 'registered' THEN %(audit_relation)s
        WHEN 'repeated' THEN %(audit_relation_of_repeat)s
    END,
    %(audit_subject)s,
    'node:' || r.node,
    %(correlation_id)s
);

-- name: deregister_node
-- prepare: node_id uuid, time_offset interval
-- prepare: audit_relation text, audit_subject text, correlation_id text
-- db/nodes.py, PostgresNodeRegistry.deregister. time_offset is zero in production.
-- Indexes, used by the functions (migrations 0009 and 0012): nodes_pkey, domains_pkey,
-- idempotency_keys_by_object, departed_pkey.
SELECT r.outcome
FROM plexsphere.deregister_node(%(node_id)s, %(time_offset)s) AS r (outcome)
CROSS JOIN LATERAL plexsphere.record_write(
    CASE WHEN r.outcome IN ('deregistered', 'gone') THEN %(audit_relation)s END,
    %(audit_subject)s,
    'node:' || %(node_id)s,
    %(correlation_id)s
);

-- name: rotate_node_key
-- prepare: node_id uuid, public_key bytea
-- prepare: audit_relation text, audit_subject text, correlation_id text
-- db/nodes.py, PostgresNodeRegistry.rotate_key.
-- Indexes, used by the functions (migrations 0009 and 0012): nodes_pkey, domains_pkey, nodes_by_key,
-- departed_pkey.
SELECT r.outcome
FROM plexsphere.rotate_node_key(%(node_id)s, %(public_key)s) AS r (outcome)
CROSS JOIN LATERAL plexsphere.record_write(
    CASE WHEN r.outcome IN ('rotated', 'same') THEN %(audit_relation)s END,
    %(audit_subject)s,
    'node:' || %(node_id)s,
    %(correlation_id)s
);

-- name: access_listen
-- db/access.py, ReducedAccess: the ids of Nodes that lost a relationship or a credential (migration
-- 0016). No table is read.
LISTEN plexsphere_access;
