-- db/verdicts.py, PostgresReachabilityRepo.of_node. See reachability_of_node.sql.
EXECUTE reachability_of_node (%(node_id)s);
