-- db/domains.py, PostgresDomainRepo.get_by_id. See domain_by_id.sql.
EXECUTE domain_by_id (%(domain_id)s);
