-- db/entries.py, PostgresEntries.remove. See entry_remove.sql, and entry_put_execute.sql for the lock.
SELECT FROM plexsphere.domains AS d WHERE d.id = %(domain_id)s FOR NO KEY UPDATE;
EXECUTE entry_remove (%(node_id)s, %(domain_id)s, %(kind)s, %(key)s);
