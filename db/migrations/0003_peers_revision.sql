-- peers_revision: a fresh one whenever anything changes that the peers of a Domain show (D7).
--
-- A trigger with a transition table takes no column list, so INSERT and DELETE have statement
-- triggers (a COPY of 10,000 Nodes bumps once) and UPDATE has row triggers with columns and a WHEN:
-- a heartbeat fires nothing.

-- What a statement that bumps a Domain leaves in the setting plexsphere.bumped: an UPDATE of 10,000
-- rows fires 10,000 row triggers, after the last of its rows has changed, and one bump is enough.
-- The setting is local to the transaction, and undone with it and with its savepoints.
CREATE FUNCTION plexsphere.bump_mark(domain uuid)
RETURNS text
LANGUAGE sql
STABLE
AS $$
    SELECT concat_ws(' ', domain, pg_current_xact_id(), statement_timestamp());
$$;

-- Bumps the given Domains, those of the given Nodes and those of the given bridge Resources' Nodes.
-- The lock comes first, in id order. What a Node or a Resource belongs to may have changed while
-- this waited for it, so it is looked up again until every Domain found is one held.
CREATE FUNCTION plexsphere.bump_peers_revision(domains uuid[], nodes uuid[], resources uuid[])
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    held uuid[] := '{}';
    found_now uuid[];
BEGIN
    LOOP
        SELECT array_agg(DISTINCT f.domain_id)
        INTO found_now
        FROM (
            SELECT unnest(domains) AS domain_id
            UNION ALL
            SELECT n.domain_id
            FROM plexsphere.nodes AS n
            WHERE n.id = ANY (nodes)
            UNION ALL
            SELECT n.domain_id
            FROM plexsphere.bridge_resources AS b
            JOIN plexsphere.nodes AS n ON n.id = b.node_id
            WHERE b.id = ANY (resources)
        ) AS f
        WHERE f.domain_id <> ALL (held);
        EXIT WHEN found_now IS NULL;
        PERFORM
        FROM plexsphere.domains AS d
        WHERE d.id = ANY (found_now)
        ORDER BY d.id
        FOR NO KEY UPDATE;
        held := held || found_now;
    END LOOP;
    IF held <> '{}' THEN
        UPDATE plexsphere.domains AS d
        SET peers_revision = gen_random_uuid()
        WHERE d.id = ANY (held);
        PERFORM set_config('plexsphere.bumped', plexsphere.bump_mark(held[1]), true);
    END IF;
END;
$$;

CREATE FUNCTION plexsphere.nodes_came_or_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        ARRAY (SELECT DISTINCT c.domain_id FROM changed AS c), '{}', '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.node_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.domain_id = NEW.domain_id
        AND current_setting('plexsphere.bumped', true) = plexsphere.bump_mark(NEW.domain_id)
    THEN
        RETURN NULL;
    END IF;
    PERFORM plexsphere.bump_peers_revision(ARRAY[OLD.domain_id, NEW.domain_id], '{}', '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.bridge_resources_came_or_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        '{}', ARRAY (SELECT DISTINCT c.node_id FROM changed AS c), '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.bridge_resource_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision('{}', ARRAY[OLD.node_id, NEW.node_id], '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.relays_came_or_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        '{}', '{}', ARRAY (SELECT c.bridge_resource_id FROM changed AS c));
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.relay_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        '{}', '{}', ARRAY[OLD.bridge_resource_id, NEW.bridge_resource_id]);
    RETURN NULL;
END;
$$;

-- An assignment shows on its peer, and only where the relay is in the peer's Domain.
CREATE FUNCTION plexsphere.relay_assignments_came_or_went() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        '{}', ARRAY (SELECT DISTINCT c.peer_node_id FROM changed AS c), '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.relay_assignment_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.peer_node_id = NEW.peer_node_id
        AND current_setting('plexsphere.bumped', true) = (
            SELECT plexsphere.bump_mark(n.domain_id)
            FROM plexsphere.nodes AS n
            WHERE n.id = NEW.peer_node_id
        )
    THEN
        RETURN NULL;
    END IF;
    PERFORM plexsphere.bump_peers_revision('{}', ARRAY[OLD.peer_node_id, NEW.peer_node_id], '{}');
    RETURN NULL;
END;
$$;

-- TRUNCATE fires no row trigger and has no transition table: a held revision would go on being
-- current over an empty table. Not even the owner may.
CREATE FUNCTION plexsphere.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of plexsphere.% would bypass peers_revision', TG_TABLE_NAME
        USING HINT = 'DELETE FROM it instead.', ERRCODE = 'feature_not_supported';
END;
$$;

CREATE TRIGGER nodes_inserted
AFTER INSERT ON plexsphere.nodes
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.nodes_came_or_went();

CREATE TRIGGER nodes_deleted
AFTER DELETE ON plexsphere.nodes
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.nodes_came_or_went();

CREATE TRIGGER nodes_updated
AFTER UPDATE OF id, domain_id, mesh_ip, public_key ON plexsphere.nodes
FOR EACH ROW
WHEN ((OLD.id, OLD.domain_id, OLD.mesh_ip, OLD.public_key)
    IS DISTINCT FROM (NEW.id, NEW.domain_id, NEW.mesh_ip, NEW.public_key))
EXECUTE FUNCTION plexsphere.node_changed();

CREATE TRIGGER bridge_resources_inserted
AFTER INSERT ON plexsphere.bridge_resources
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.bridge_resources_came_or_went();

CREATE TRIGGER bridge_resources_deleted
AFTER DELETE ON plexsphere.bridge_resources
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.bridge_resources_came_or_went();

CREATE TRIGGER bridge_resources_updated
AFTER UPDATE OF id, node_id ON plexsphere.bridge_resources
FOR EACH ROW
WHEN ((OLD.id, OLD.node_id) IS DISTINCT FROM (NEW.id, NEW.node_id))
EXECUTE FUNCTION plexsphere.bridge_resource_moved();

CREATE TRIGGER bridge_relays_inserted
AFTER INSERT ON plexsphere.bridge_relays
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.relays_came_or_went();

CREATE TRIGGER bridge_relays_deleted
AFTER DELETE ON plexsphere.bridge_relays
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.relays_came_or_went();

CREATE TRIGGER bridge_relays_updated
AFTER UPDATE OF bridge_resource_id, enabled ON plexsphere.bridge_relays
FOR EACH ROW
WHEN ((OLD.bridge_resource_id, OLD.enabled) IS DISTINCT FROM (NEW.bridge_resource_id, NEW.enabled))
EXECUTE FUNCTION plexsphere.relay_changed();

CREATE TRIGGER bridge_relay_assignments_inserted
AFTER INSERT ON plexsphere.bridge_relay_assignments
REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.relay_assignments_came_or_went();

CREATE TRIGGER bridge_relay_assignments_deleted
AFTER DELETE ON plexsphere.bridge_relay_assignments
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.relay_assignments_came_or_went();

CREATE TRIGGER bridge_relay_assignments_updated
AFTER UPDATE OF bridge_resource_id, peer_node_id, fallback_endpoint, fallback_endpoint_port
ON plexsphere.bridge_relay_assignments
FOR EACH ROW
WHEN ((OLD.bridge_resource_id, OLD.peer_node_id, OLD.fallback_endpoint, OLD.fallback_endpoint_port)
    IS DISTINCT FROM
    (NEW.bridge_resource_id, NEW.peer_node_id, NEW.fallback_endpoint, NEW.fallback_endpoint_port))
EXECUTE FUNCTION plexsphere.relay_assignment_changed();

CREATE TRIGGER nodes_not_truncated
BEFORE TRUNCATE ON plexsphere.nodes
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_resources_not_truncated
BEFORE TRUNCATE ON plexsphere.bridge_resources
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_relays_not_truncated
BEFORE TRUNCATE ON plexsphere.bridge_relays
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_relay_assignments_not_truncated
BEFORE TRUNCATE ON plexsphere.bridge_relay_assignments
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();
