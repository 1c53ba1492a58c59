-- db/migrate.py: concurrent starters take turns. Released when the connection closes.
SELECT pg_advisory_lock(%(key)s);
