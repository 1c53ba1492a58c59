-- The writers of Domains and Nodes: each is one function, so that one round trip is one transaction
-- and a service that dies in the middle leaves nothing half done.
--
-- Every one of them takes the Domain's row first (D7). Time is the statement's, `ahead` is how far a
-- test has moved it. What the caller branches on comes back as a word, `outcome`.

-- A key lives as long as what it made, so it is looked for by that when that goes.
DROP INDEX plexsphere.idempotency_keys_by_age;
CREATE INDEX idempotency_keys_by_object ON plexsphere.idempotency_keys (object_id);

-- Whether anything was released long enough ago is asked at every registration.
CREATE INDEX released_addresses_by_age ON plexsphere.released_addresses (domain_id, released_at);

-- Overlaps of a new Domain's range. No constraint: an operator's hand may write what it likes.
CREATE INDEX domains_by_range ON plexsphere.domains USING gist (mesh_cidr inet_ops);

-- RFC 9562: 48 bits of milliseconds, the version, and the random bits of a version 4.
CREATE FUNCTION plexsphere.uuid_v7(moment timestamptz)
RETURNS uuid
LANGUAGE sql
VOLATILE
AS $$
    SELECT encode(
        set_bit(
            set_bit(
                overlay(
                    uuid_send(gen_random_uuid())
                    PLACING substring(
                        int8send(floor(extract(epoch FROM moment) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
                52, 1),
            53, 1),
        'hex')::uuid;
$$;

-- What an event about a Node's peers carries: the triple of the pull.
CREATE FUNCTION plexsphere.peer_event(node uuid, mesh_ip inet, public_key bytea)
RETURNS jsonb
LANGUAGE sql
STABLE
AS $$
    SELECT jsonb_build_object(
        'node_id', node, 'mesh_ip', host(mesh_ip), 'public_key', encode(public_key, 'base64'));
$$;

-- The lowest address of the range that no Node has and that was released before `released_before`
-- or never; null where there is none. `looked_to` is the Domain's next_address, and `next_one` what
-- it is to become: everything below is in use or released, so only what lies above is walked, once.
-- The network's own address is no host's, nor is IPv4's last.
CREATE FUNCTION plexsphere.free_address(
    home uuid, mesh_range cidr, looked_to inet, released_before timestamptz,
    OUT address inet, OUT next_one inet
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    lowest inet := host(network(mesh_range))::inet + 1;
    highest inet := host(broadcast(mesh_range))::inet - (family(mesh_range) = 4)::int;
    taken inet;
BEGIN
    next_one := greatest(lowest, looked_to);
    IF EXISTS (
        SELECT
        FROM plexsphere.released_addresses AS r
        WHERE r.domain_id = home
            AND r.released_at <= released_before
    ) THEN
        SELECT r.mesh_ip
        INTO address
        FROM plexsphere.released_addresses AS r
        WHERE r.domain_id = home
            AND r.mesh_ip BETWEEN lowest AND highest
            AND r.released_at <= released_before
            AND NOT EXISTS (
                SELECT
                FROM plexsphere.nodes AS n
                WHERE n.domain_id = home
                    AND host(n.mesh_ip)::inet = r.mesh_ip
            )
        ORDER BY r.mesh_ip
        LIMIT 1;
        IF address < next_one THEN
            RETURN;
        END IF;
    END IF;
    FOR taken IN
        SELECT u.mesh_ip
        FROM (
            SELECT host(n.mesh_ip)::inet AS mesh_ip
            FROM plexsphere.nodes AS n
            WHERE n.domain_id = home
                AND host(n.mesh_ip)::inet BETWEEN next_one AND highest
            UNION ALL
            SELECT r.mesh_ip
            FROM plexsphere.released_addresses AS r
            WHERE r.domain_id = home
                AND r.mesh_ip BETWEEN next_one AND highest
        ) AS u
        ORDER BY u.mesh_ip
    LOOP
        EXIT WHEN taken > next_one;
        -- two rows may show one address: nothing keeps a corrupt one out of nodes
        CONTINUE WHEN taken < next_one;
        next_one := next_one + 1;
    END LOOP;
    IF next_one <= highest AND (address IS NULL OR next_one < address) THEN
        address := next_one;
        next_one := next_one + 1;
    END IF;
END;
$$;

-- Outcomes: registered, found (the same key or the same request made the Node before),
-- domain_not_found, idempotency_key_conflict, pool_exhausted.
CREATE FUNCTION plexsphere.register_node(
    home uuid, wanted_key bytea, wanted_name text, request_key text, request_meaning bytea,
    hold_off interval, ahead interval,
    OUT outcome text, OUT node uuid, OUT address inet, OUT mesh_range cidr
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moment timestamptz := statement_timestamp() + ahead;
    looked_to inet;
    meant bytea;
    is_new boolean;
BEGIN
    SELECT d.mesh_cidr, d.next_address
    INTO mesh_range, looked_to
    FROM plexsphere.domains AS d
    WHERE d.id = home
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'domain_not_found';
        RETURN;
    END IF;
    SELECT k.request_hash, n.id, n.mesh_ip
    INTO meant, node, address
    FROM plexsphere.idempotency_keys AS k
    JOIN plexsphere.nodes AS n ON n.id = k.object_id
    WHERE k.scope = home
        AND k.key = request_key;
    IF FOUND THEN
        outcome := CASE WHEN meant = request_meaning THEN 'found' ELSE 'idempotency_key_conflict' END;
        RETURN;
    END IF;
    SELECT n.id, n.mesh_ip
    INTO node, address
    FROM plexsphere.nodes AS n
    WHERE n.domain_id = home
        AND sha256(n.public_key) = sha256(wanted_key)
    ORDER BY n.id
    LIMIT 1;
    is_new := NOT FOUND;
    IF is_new THEN
        SELECT f.address, f.next_one
        INTO address, looked_to
        FROM plexsphere.free_address(home, mesh_range, looked_to, moment - hold_off) AS f;
        IF address IS NULL THEN
            outcome := 'pool_exhausted';
            RETURN;
        END IF;
        node := plexsphere.uuid_v7(moment);
        UPDATE plexsphere.domains AS d
        SET next_address = looked_to
        WHERE d.id = home
            AND d.next_address IS DISTINCT FROM looked_to;
        DELETE FROM plexsphere.released_addresses AS r
        WHERE r.domain_id = home
            AND r.mesh_ip = address;
        INSERT INTO plexsphere.nodes
            (id, domain_id, name, mesh_ip, public_key, changed_at, created_at)
        VALUES (node, home, wanted_name, address, wanted_key, moment, moment);
        INSERT INTO plexsphere.outbox (domain_id, type, object, payload, tuples)
        VALUES (
            home,
            'peer_added',
            'node:' || node,
            plexsphere.peer_event(node, address, wanted_key),
            jsonb_build_array(
                jsonb_build_object('operation', 'touch', 'resource', 'node:' || node,
                    'relation', 'agent', 'subject', 'node:' || node),
                jsonb_build_object('operation', 'touch', 'resource', 'node:' || node,
                    'relation', 'domain', 'subject', 'domain:' || home)));
    END IF;
    IF request_key IS NOT NULL THEN
        INSERT INTO plexsphere.idempotency_keys AS k (scope, key, request_hash, object_id)
        VALUES (home, request_key, request_meaning, node)
        -- what the key made is gone
        ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
        SET request_hash = EXCLUDED.request_hash, object_id = EXCLUDED.object_id;
    END IF;
    outcome := CASE WHEN is_new THEN 'registered' ELSE 'found' END;
END;
$$;

-- Outcomes: deregistered, gone (no such Node, or no longer). The trigger has put the address on hold
-- by Postgres' own clock; a test may have moved time.
CREATE FUNCTION plexsphere.deregister_node(gone uuid, ahead interval, OUT outcome text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    home uuid;
    address inet;
    had_key bytea;
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = gone)
    FOR NO KEY UPDATE;
    DELETE FROM plexsphere.nodes AS n
    WHERE n.id = gone
    RETURNING n.domain_id, n.mesh_ip, n.public_key
    INTO home, address, had_key;
    IF NOT FOUND THEN
        outcome := 'gone';
        RETURN;
    END IF;
    UPDATE plexsphere.released_addresses AS r
    SET released_at = statement_timestamp() + ahead
    WHERE r.domain_id = home
        AND r.mesh_ip = host(address)::inet;
    DELETE FROM plexsphere.idempotency_keys AS k
    WHERE k.object_id = gone;
    INSERT INTO plexsphere.outbox (domain_id, type, object, payload, tuples)
    VALUES (
        home,
        'peer_removed',
        'node:' || gone,
        plexsphere.peer_event(gone, address, had_key),
        jsonb_build_array(
            jsonb_build_object('operation', 'purge', 'resource', 'node:' || gone)));
    outcome := 'deregistered';
END;
$$;

-- Outcomes: rotated, same (it has that key already), node_not_found, public_key_in_use (another Node
-- of the Domain has it).
CREATE FUNCTION plexsphere.rotate_node_key(node uuid, wanted_key bytea, OUT outcome text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    home uuid;
    address inet;
    had_key bytea;
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = node)
    FOR NO KEY UPDATE;
    SELECT n.domain_id, n.mesh_ip, n.public_key
    INTO home, address, had_key
    FROM plexsphere.nodes AS n
    WHERE n.id = node;
    IF NOT FOUND THEN
        outcome := 'node_not_found';
    ELSIF had_key = wanted_key THEN
        outcome := 'same';
    ELSIF EXISTS (
        SELECT
        FROM plexsphere.nodes AS n
        WHERE n.domain_id = home
            AND sha256(n.public_key) = sha256(wanted_key)
    ) THEN
        outcome := 'public_key_in_use';
    ELSE
        UPDATE plexsphere.nodes AS n
        SET public_key = wanted_key
        WHERE n.id = node;
        INSERT INTO plexsphere.outbox (domain_id, type, object, payload, drained_at)
        VALUES (
            home,
            'peer_key_rotated',
            'node:' || node,
            plexsphere.peer_event(node, address, wanted_key),
            statement_timestamp());
        outcome := 'rotated';
    END IF;
END;
$$;

-- Outcomes: created, found (the same request made it before), idempotency_key_conflict,
-- domain_slug_conflict, mesh_cidr_overlap. One at a time: there is no row yet to lock.
CREATE FUNCTION plexsphere.create_domain(
    wanted_name text, wanted_slug text, wanted_range cidr, wanted_description text,
    wanted_region text, wanted_interval interval, wanted_stale interval,
    wanted_unreachable interval, request_key text, request_meaning bytea, ahead interval,
    OUT outcome text, OUT domain uuid
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moment timestamptz := statement_timestamp() + ahead;
    platform constant uuid := '00000000-0000-0000-0000-000000000000';
    meant bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('plexsphere.create_domain', 0));
    SELECT k.request_hash, d.id
    INTO meant, domain
    FROM plexsphere.idempotency_keys AS k
    JOIN plexsphere.domains AS d ON d.id = k.object_id
    WHERE k.scope = platform
        AND k.key = request_key;
    IF FOUND THEN
        outcome := CASE WHEN meant = request_meaning THEN 'found' ELSE 'idempotency_key_conflict' END;
        RETURN;
    END IF;
    outcome := CASE
        WHEN EXISTS (SELECT FROM plexsphere.domains AS d WHERE d.slug = wanted_slug)
            THEN 'domain_slug_conflict'
        WHEN EXISTS (SELECT FROM plexsphere.domains AS d WHERE d.mesh_cidr && wanted_range)
            THEN 'mesh_cidr_overlap'
        ELSE 'created'
    END;
    IF outcome <> 'created' THEN
        RETURN;
    END IF;
    INSERT INTO plexsphere.domains AS d
        (id, name, slug, mesh_cidr, description, region, heartbeat_interval, stale_after,
        unreachable_after, created_at)
    VALUES (plexsphere.uuid_v7(moment), wanted_name, wanted_slug, wanted_range, wanted_description,
        wanted_region, wanted_interval, wanted_stale, wanted_unreachable, moment)
    -- an operator's hand does not wait for the lock above
    ON CONFLICT (slug) DO NOTHING
    RETURNING d.id INTO domain;
    IF NOT FOUND THEN
        outcome := 'domain_slug_conflict';
        RETURN;
    END IF;
    INSERT INTO plexsphere.idempotency_keys AS k (scope, key, request_hash, object_id)
    VALUES (platform, request_key, request_meaning, domain)
    ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
    SET request_hash = EXCLUDED.request_hash, object_id = EXCLUDED.object_id;
    INSERT INTO plexsphere.outbox (domain_id, type, object, payload, tuples)
    VALUES (
        domain,
        'domain_created',
        'domain:' || domain,
        jsonb_build_object('domain_id', domain, 'slug', wanted_slug, 'mesh_cidr', wanted_range),
        jsonb_build_array(
            jsonb_build_object('operation', 'touch', 'resource', 'domain:' || domain,
                'relation', 'platform', 'subject', 'platform:plexsphere')));
END;
$$;

-- Outcomes: deleted, gone (no such Domain, or no longer), domain_not_empty. The strong lock, because
-- a Node that comes by hand holds a weak one on its Domain. Held addresses go by their foreign key.
CREATE FUNCTION plexsphere.delete_domain(gone uuid, OUT outcome text, OUT nodes bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = gone
    FOR UPDATE;
    IF NOT FOUND THEN
        outcome := 'gone';
        RETURN;
    END IF;
    SELECT count(*)
    INTO nodes
    FROM plexsphere.nodes AS n
    WHERE n.domain_id = gone;
    IF nodes > 0 THEN
        outcome := 'domain_not_empty';
        RETURN;
    END IF;
    DELETE FROM plexsphere.domains AS d
    WHERE d.id = gone;
    DELETE FROM plexsphere.idempotency_keys AS k
    WHERE k.object_id = gone
        OR k.scope = gone;
    DELETE FROM plexsphere.role_grants AS g
    WHERE g.object = 'domain:' || gone;
    INSERT INTO plexsphere.outbox (domain_id, type, object, payload, tuples)
    VALUES (
        gone,
        'domain_deleted',
        'domain:' || gone,
        jsonb_build_object('domain_id', gone),
        jsonb_build_array(
            jsonb_build_object('operation', 'purge', 'resource', 'domain:' || gone)));
    outcome := 'deleted';
END;
$$;
