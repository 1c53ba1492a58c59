-- db/nodes.py, PostgresNodeRepo.get_by_id. See node_by_id.sql.
EXECUTE node_by_id (%(node_id)s);
