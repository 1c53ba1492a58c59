-- db/explain.py, the bridge Resource of a Node and every row of its aggregates: table, key, what it
-- says, when it was last written. Index: bridge_resources_node_id_key and those on the Resource.
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
