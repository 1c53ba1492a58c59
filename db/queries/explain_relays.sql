-- db/explain.py, every relay assignment of the Domain's Nodes, in force or not; the first one in
-- force is served (snapshot_for_node.sql). Index: bridge_relay_assignments_by_peer.
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
