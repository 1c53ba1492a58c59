-- db/domains.py, PostgresDomainReader.read. $1 Domain. Index: domains_pkey.
PREPARE domain_read (uuid) AS
SELECT
    d.id::text,
    d.name,
    d.slug,
    d.description,
    d.region,
    d.mesh_cidr::text,
    d.created_at,
    d.heartbeat_interval,
    d.stale_after,
    d.unreachable_after
FROM plexsphere.domains AS d
WHERE d.id = $1;
