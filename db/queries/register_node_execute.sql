-- db/node_registry.py, PostgresNodeRegistry.register. See register_node.sql.
EXECUTE register_node (
    %(domain_id)s, %(public_key)s, %(name)s, %(request_key)s, %(request_meaning)s, %(hold_off)s,
    %(ahead)s);
