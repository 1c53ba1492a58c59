-- db/domain_registry.py, PostgresDomainRegistry.delete. See delete_domain.sql.
EXECUTE delete_domain (%(domain_id)s);
