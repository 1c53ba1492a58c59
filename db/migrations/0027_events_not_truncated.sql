-- TRUNCATE fires no row trigger, so the agents would not be told. The tables of peers refuse it since
-- migration 0003; here are the others that a pull shows.

CREATE OR REPLACE FUNCTION plexsphere.refuse_truncate() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of plexsphere.% would bypass peers_revision and events', TG_TABLE_NAME
        USING HINT = 'DELETE FROM it instead.', ERRCODE = 'feature_not_supported';
END;
$$;

CREATE TRIGGER policy_compiled_ruleset_not_truncated
BEFORE TRUNCATE ON plexsphere.policy_compiled_ruleset
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER node_state_entries_not_truncated
BEFORE TRUNCATE ON plexsphere.node_state_entries
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_user_access_providers_not_truncated
BEFORE TRUNCATE ON plexsphere.bridge_user_access_providers
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_ingress_rules_not_truncated
BEFORE TRUNCATE ON plexsphere.bridge_ingress_rules
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_site_to_site_tunnels_not_truncated
BEFORE TRUNCATE ON plexsphere.bridge_site_to_site_tunnels
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();
