-- The migrations that a database has.

-- name: migrations_lock
-- db/migrate.py, migrate: processes that start at the same time take turns. The lock is released when
-- the connection closes. No table is read.
SELECT pg_advisory_lock(%(lock)s);

-- name: migrations_encoding
-- db/migrate.py, migrate, and db/health.py, encoding: texts must sort by code point, and only in UTF8
-- the bytes sort so. No table is read.
SELECT current_setting('server_encoding');

-- name: migrations_begin
-- db/migrate.py, migrate: the table of migrations, made under the advisory lock. It may run again, and
-- then needs no right: IF NOT EXISTS would need the right to create before it looks.
DO $$
BEGIN
    IF to_regnamespace('plexsphere') IS NULL THEN
        CREATE SCHEMA plexsphere;
    END IF;
    IF to_regclass('plexsphere.schema_migrations') IS NULL THEN
        CREATE TABLE plexsphere.schema_migrations (
            version integer PRIMARY KEY,
            name text NOT NULL,
            -- SHA-256 of the file, in hex: an applied file never changes.
            checksum text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
        );
    END IF;
END;
$$;

-- name: migrations_applied
-- db/migrate.py, migrate. The table has a few rows: no index matters.
SELECT version, name, checksum
FROM plexsphere.schema_migrations
ORDER BY version;

-- name: migrations_record
-- db/migrate.py, migrate, in the transaction of the migration itself.
INSERT INTO plexsphere.schema_migrations (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s);

-- name: schema_version
-- db/migrate.py and db/health.py, schema_version. The table may not exist. It has a few rows: no index
-- matters.
SELECT coalesce(max(version), 0)
FROM plexsphere.schema_migrations;
