-- db/migrate.py and db/health.py. The table is a few rows: no index matters. It may not exist.
SELECT coalesce(max(version), 0)
FROM plexsphere.schema_migrations;
