-- Two roles for the ledger: plexsphere_owner owns the schema and migrates it; plexsphere_service is
-- the role of the service, the relay, the evaluator and the commands, and cannot change the schema.
-- A superuser runs this in the ledger's database. It may be repeated, before and after migrations:
--
--     psql --dbname plexsphere --set ON_ERROR_STOP=1 --file roles.sql
--
-- It sets no passwords: use \password in psql, or the authentication of your own.
-- plexsphere_owner is also the role for `plexsphere-state audit prune`, which drops tables.

BEGIN;

DO $$
BEGIN
    IF to_regrole('plexsphere_owner') IS NULL THEN
        CREATE ROLE plexsphere_owner LOGIN;
    END IF;
    IF to_regrole('plexsphere_service') IS NULL THEN
        CREATE ROLE plexsphere_service LOGIN;
    END IF;
    -- A migration makes schemas. Nobody else does, nor temporary tables.
    EXECUTE format('REVOKE CREATE, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO plexsphere_owner', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO plexsphere_owner, plexsphere_service', current_database());
END;
$$;

CREATE SCHEMA IF NOT EXISTS plexsphere AUTHORIZATION plexsphere_owner;
GRANT USAGE ON SCHEMA plexsphere TO plexsphere_service;

-- What migrations make from now on. Only the service calls the functions.
ALTER DEFAULT PRIVILEGES FOR ROLE plexsphere_owner
    REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE plexsphere_owner IN SCHEMA plexsphere
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO plexsphere_service;
ALTER DEFAULT PRIVILEGES FOR ROLE plexsphere_owner IN SCHEMA plexsphere
    GRANT USAGE ON SEQUENCES TO plexsphere_service;
ALTER DEFAULT PRIVILEGES FOR ROLE plexsphere_owner IN SCHEMA plexsphere
    GRANT EXECUTE ON FUNCTIONS TO plexsphere_service;

-- What plexsphere_owner has made before.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA plexsphere TO plexsphere_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA plexsphere TO plexsphere_service;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA plexsphere FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA plexsphere TO plexsphere_service;

-- It reads where Postgres left its timelines, which only a superuser may, and nothing else.
DO $$
BEGIN
    IF to_regprocedure('plexsphere.timeline_history(integer)') IS NOT NULL THEN
        ALTER FUNCTION plexsphere.timeline_history(integer) OWNER TO CURRENT_USER;
    END IF;
END;
$$;

COMMIT;
