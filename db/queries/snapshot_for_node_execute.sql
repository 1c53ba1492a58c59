-- db/ledger.py, PostgresLedger.view: the one round trip of a pull. See snapshot_for_node.sql.
EXECUTE snapshot_for_node (%(node_id)s, %(domain_id)s, %(held_revision)s);
