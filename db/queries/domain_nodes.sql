-- db/domain_nodes.py, PostgresDomainNodes.page. $1 Domain, $2 the Node after which the page begins
-- (the nil UUID for the first one), $3 rows. Index: nodes_by_domain.
PREPARE domain_nodes (uuid, uuid, integer) AS
SELECT
    n.id::text,
    n.name,
    host(n.mesh_ip),
    n.created_at
FROM plexsphere.nodes AS n
WHERE n.domain_id = $1
    AND n.id > $2
ORDER BY n.id
LIMIT $3;
