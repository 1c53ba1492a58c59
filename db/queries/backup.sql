-- Backup and restore.

-- name: moment_begin
-- db/backup.py, exported_moment: the moment stays until the connection ends. No table is read.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot();

-- name: domain_ids
-- db/backup.py, domain_ids. Index: domains_pkey.
SELECT d.id::text
FROM plexsphere.domains AS d
ORDER BY d.id;

-- name: make_schema
-- db/backup.py, make_schema. No table is read.
CREATE SCHEMA IF NOT EXISTS plexsphere;
