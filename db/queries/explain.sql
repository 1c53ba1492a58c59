-- The rows behind a snapshot, for people: plexsphere-state snapshot --explain.

-- name: explain_begin
-- db/explain.py, explain: its statements see one moment of the ledger, as the one statement of a pull
-- does. No table is read.
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: explain_node
-- db/explain.py, explain: the Node's own row and its Domain's. Times are text, so that a time which
-- Python cannot represent is shown as well.
-- Indexes: nodes_pkey, domains_pkey.
SELECT
    n.id::text,
    n.name,
    n.domain_id::text,
    d.name,
    d.peers_revision::text,
    n.reachability_state,
    n.last_heartbeat_at::text,
    n.changed_at::text,
    n.authz_token IS NOT NULL
FROM plexsphere.nodes AS n
JOIN plexsphere.domains AS d ON d.id = n.domain_id
WHERE n.id = %(node_id)s;

-- name: explain_domain
-- db/explain.py, explain: every Node of the Domain, also those with corrupt rows.
-- Index: nodes_by_domain.
SELECT
    n.id::text,
    n.name,
    host(n.mesh_ip),
    n.public_key
FROM plexsphere.nodes AS n
WHERE n.domain_id = %(domain_id)s
ORDER BY n.id;

-- name: explain_relays
-- db/explain.py, explain: every relay assignment of the Domain's Nodes, served or not. The first that
-- is enabled and of the same Domain is served (relay_fallbacks).
-- Index: bridge_relay_assignments_by_peer.
SELECT
    a.peer_node_id::text,
    a.bridge_resource_id::text,
    b.node_id::text,
    r.enabled,
    h.domain_id = p.domain_id,
    a.fallback_endpoint,
    a.fallback_endpoint_port
FROM plexsphere.nodes AS p
JOIN plexsphere.bridge_relay_assignments AS a ON a.peer_node_id = p.id
JOIN plexsphere.bridge_relays AS r ON r.bridge_resource_id = a.bridge_resource_id
JOIN plexsphere.bridge_resources AS b ON b.id = a.bridge_resource_id
JOIN plexsphere.nodes AS h ON h.id = b.node_id
WHERE p.domain_id = %(domain_id)s
ORDER BY a.peer_node_id, a.bridge_resource_id;

-- name: explain_policies
-- db/explain.py, explain: the compiled rule sets of the Node, in the order in which they are merged.
-- Index: the primary key.
SELECT
    c.policy_id::text,
    c.revision_id::text,
    c.rule_payload,
    c.fingerprint,
    c.compiled_at::text
FROM plexsphere.policy_compiled_ruleset AS c
WHERE c.node_id = %(node_id)s
ORDER BY c.policy_id;

-- name: explain_bridge
-- db/explain.py, explain: the bridge Resource of the Node and every row of its aggregates: the table,
-- the key, the content, and when it was written last.
-- Indexes: bridge_resources_node_id_key; the bridge_resource_id keys of the aggregates.
WITH resource AS (
    SELECT b.id, b.name, b.created_at
    FROM plexsphere.bridge_resources AS b
    WHERE b.node_id = %(node_id)s
)
SELECT 1, 'bridge_resources', id::text, name, created_at::text
FROM resource
UNION ALL
SELECT
    2,
    'bridge_relays',
    r.bridge_resource_id::text,
    concat(CASE WHEN r.enabled THEN 'enabled' ELSE 'disabled' END, ', port ', r.listen_port),
    r.updated_at::text
FROM resource
JOIN plexsphere.bridge_relays AS r ON r.bridge_resource_id = resource.id
UNION ALL
SELECT
    3,
    'bridge_relay_assignments',
    a.peer_node_id::text,
    concat(a.fallback_endpoint, ' port ', a.fallback_endpoint_port),
    a.created_at::text
FROM resource
JOIN plexsphere.bridge_relay_assignments AS a ON a.bridge_resource_id = resource.id
UNION ALL
SELECT 4, 'bridge_user_access_providers', u.slug, concat(u.kind, ', ', u.id), u.updated_at::text
FROM resource
JOIN plexsphere.bridge_user_access_providers AS u ON u.bridge_resource_id = resource.id
UNION ALL
SELECT
    5,
    'bridge_ingress_rules',
    i.slug,
    concat(i.sni_host, ' to ', i.target_node_id),
    i.updated_at::text
FROM resource
JOIN plexsphere.bridge_ingress_rules AS i ON i.bridge_resource_id = resource.id
UNION ALL
SELECT
    6,
    'bridge_site_to_site_tunnels',
    t.slug,
    concat(t.kind, ' to ', t.remote_host),
    t.updated_at::text
FROM resource
JOIN plexsphere.bridge_site_to_site_tunnels AS t ON t.bridge_resource_id = resource.id
ORDER BY 1, 3;

-- name: explain_entries
-- db/explain.py, explain: the state entries, in the order in which they are served. The value stays in
-- the ledger: only its size in bytes is shown.
-- Index: the primary key.
SELECT
    e.kind,
    e.key,
    octet_length(e.value),
    e.workload_tag,
    e.updated_at::text
FROM plexsphere.node_state_entries AS e
WHERE e.node_id = %(node_id)s
ORDER BY array_position(ARRAY['metadata', 'data', 'report'], e.kind), e.key;
