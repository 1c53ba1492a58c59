-- db/migrate.py, before anything else and under the advisory lock. A replay is harmless.
CREATE SCHEMA IF NOT EXISTS plexsphere;

CREATE TABLE IF NOT EXISTS plexsphere.schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    -- SHA-256 of the file, in hex: an applied file never changes.
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
