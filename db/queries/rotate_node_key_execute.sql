-- db/node_registry.py, PostgresNodeRegistry.rotate_key. See rotate_node_key.sql.
EXECUTE rotate_node_key (%(node_id)s, %(public_key)s);
