-- db/domain_nodes.py, PostgresDomainNodes.page. See domain_nodes.sql.
EXECUTE domain_nodes (%(domain_id)s, %(after)s, %(limit)s);
