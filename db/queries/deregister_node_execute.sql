-- db/node_registry.py, PostgresNodeRegistry.deregister. See deregister_node.sql.
EXECUTE deregister_node (%(node_id)s, %(ahead)s);
