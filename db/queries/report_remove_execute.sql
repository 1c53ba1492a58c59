-- db/entries.py, PostgresEntries.remove. See report_remove.sql.
EXECUTE report_remove (%(node_id)s, %(domain_id)s, %(key)s);
