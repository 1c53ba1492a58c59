-- A function with a setting of its own is planned apart from the statement that calls it. Without
-- one, these become parts of the statements of announce_changes, whose plans are kept. That function
-- sets the path for them too.

ALTER FUNCTION plexsphere.shown_blocks(uuid[], uuid[], uuid[]) RESET ALL;

-- The relay of a peer, found from the peer's own assignments. As a join it could be planned from the
-- Nodes of the Domain: then each registration read all of them. A subquery in the place of a value
-- is no join.

CREATE OR REPLACE FUNCTION plexsphere.shown_peers(nodes uuid[])
RETURNS TABLE (node_id uuid, domain_id uuid, content text)
LANGUAGE sql
STABLE
AS $$
    SELECT
        n.id,
        n.domain_id,
        json_build_array(
            host(n.mesh_ip),
            encode(n.public_key, 'hex'),
            f.fallback_endpoint,
            f.fallback_endpoint_port
        )::text
    FROM plexsphere.nodes AS n
    LEFT JOIN LATERAL (
        SELECT
            a.fallback_endpoint,
            a.fallback_endpoint_port
        FROM plexsphere.bridge_relay_assignments AS a
        WHERE a.peer_node_id = n.id
            AND (
                SELECT r.enabled
                FROM plexsphere.bridge_relays AS r
                WHERE r.bridge_resource_id = a.bridge_resource_id
            )
            AND n.domain_id = (
                SELECT h.domain_id
                FROM plexsphere.bridge_resources AS b
                JOIN plexsphere.nodes AS h ON h.id = b.node_id
                WHERE b.id = a.bridge_resource_id
            )
        ORDER BY a.bridge_resource_id
        LIMIT 1
    ) AS f ON true
    WHERE n.id = ANY (nodes);
$$;
