-- db/migrate.py, what this database has. The table is a few rows: no index matters.
SELECT version, name, checksum
FROM plexsphere.schema_migrations
ORDER BY version;
