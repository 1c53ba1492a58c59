-- db/migrate.py, in the transaction of the migration itself.
INSERT INTO plexsphere.schema_migrations (version, name, checksum)
VALUES (%(version)s, %(name)s, %(checksum)s);
