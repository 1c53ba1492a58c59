-- db/domains.py, PostgresDomainRepo.get_by_id (gate 3). $1 Domain. Index: domains_pkey.
PREPARE domain_by_id (uuid) AS
SELECT d.authz_token
FROM plexsphere.domains AS d
WHERE d.id = $1;
