-- db/fleet_members.py: the Domains that a simulation made under these slugs, on its own ranges, with
-- their Nodes; a row a Node, and one for a Domain without any. $1 slugs, $2 ranges.
-- Indexes: domains_slug_key, nodes_by_domain.
PREPARE fleet_members (text[], cidr[]) AS
SELECT
    d.id::text AS domain_id,
    n.id::text AS node_id,
    n.name,
    n.public_key
FROM plexsphere.domains AS d
LEFT JOIN plexsphere.nodes AS n ON n.domain_id = d.id
WHERE d.slug = ANY ($1)
    AND d.mesh_cidr = ANY ($2)
ORDER BY d.id, n.id;
