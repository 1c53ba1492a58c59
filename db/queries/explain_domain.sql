-- db/explain.py, every Node of the Domain, corrupt ones too. Index: nodes_by_domain.
SELECT
    n.id::text,
    n.name,
    host(n.mesh_ip),
    n.public_key
FROM plexsphere.nodes AS n
WHERE n.domain_id = %(domain_id)s
ORDER BY n.id;
