-- db/domain_registry.py, PostgresDomainRegistry.create. See create_domain.sql.
EXECUTE create_domain (
    %(name)s, %(slug)s, %(mesh_cidr)s, %(description)s, %(region)s, NULL, NULL, NULL,
    %(request_key)s, %(request_meaning)s, %(ahead)s);
