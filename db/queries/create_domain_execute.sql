-- db/domain_registry.py, PostgresDomainRegistry.create. See create_domain.sql.
EXECUTE create_domain (
    %(name)s, %(slug)s, %(mesh_cidr)s, %(description)s, %(region)s, %(heartbeat_interval)s,
    %(stale_after)s, %(unreachable_after)s, %(request_key)s, %(request_meaning)s, %(ahead)s);
