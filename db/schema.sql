-- The ledger as the migrations leave it; `make schema` writes this file. To change the schema, add
-- a migration. The comments of a migration say why its tables, columns and indexes exist.

CREATE SCHEMA plexsphere;

CREATE FUNCTION plexsphere.address_released() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO plexsphere.released_addresses AS r (domain_id, mesh_ip)
    VALUES (OLD.domain_id, host(OLD.mesh_ip)::inet)
    ON CONFLICT (domain_id, mesh_ip) DO UPDATE
    SET released_at = EXCLUDED.released_at;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.addresses_released() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO plexsphere.released_addresses AS r (domain_id, mesh_ip)
    SELECT DISTINCT c.domain_id, host(c.mesh_ip)::inet
    FROM changed AS c
    JOIN plexsphere.domains AS d ON d.id = c.domain_id
    WHERE c.mesh_ip IS NOT NULL
    ON CONFLICT (domain_id, mesh_ip) DO UPDATE
    SET released_at = EXCLUDED.released_at;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.announce_audit_rows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    newest constant bigint :=
        coalesce(pg_catalog.pg_sequence_last_value('plexsphere.audit_rows_seq'), 0);
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock_shared(
        x'61750000'::int | (newest >> 32)::int,
        newest::bit(32)::int
    );
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.announce_changes() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- More changed peers than this in one transaction and Domain are one event: pull.
    most_peers constant bigint := 1000;
    of_peer uuid[];
    of_policy uuid[];
    of_bridge uuid[];
    of_state uuid[];
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM plexsphere.changed_blocks AS c
        WHERE (c.xact, c.block, c.node_id) = (NEW.xact, NEW.block, NEW.node_id)
    ) THEN
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'changes that agents are told of need the isolation level READ COMMITTED'
            USING ERRCODE = 'feature_not_supported',
            HINT = 'In a transaction that sees one old moment, an event would miss what others committed.';
    END IF;
    WITH taken AS (
        DELETE FROM plexsphere.changed_blocks AS c
        WHERE c.xact = NEW.xact
        RETURNING c.block, c.node_id
    )
    SELECT
        coalesce(array_agg(t.node_id) FILTER (WHERE t.block = 'peer'), '{}'),
        coalesce(array_agg(t.node_id) FILTER (WHERE t.block = 'policy'), '{}'),
        coalesce(array_agg(t.node_id) FILTER (WHERE t.block = 'bridge'), '{}'),
        coalesce(array_agg(t.node_id) FILTER (WHERE t.block = 'state'), '{}')
    INTO of_peer, of_policy, of_bridge, of_state
    FROM taken AS t;
    IF of_peer <> '{}' THEN
        PERFORM
        FROM plexsphere.domains AS d
        WHERE d.id IN (
            SELECT n.domain_id
            FROM plexsphere.nodes AS n
            WHERE n.id = ANY (of_peer)
            UNION
            SELECT a.domain_id
            FROM plexsphere.announced_blocks AS a
            WHERE a.node_id = ANY (of_peer)
        )
        ORDER BY d.id
        FOR NO KEY UPDATE;
        WITH shown AS MATERIALIZED (
            SELECT
                s.*,
                nextval('plexsphere.events_seq_seq') AS joined_seq
            FROM plexsphere.shown_peers(of_peer) AS s
        ),
        changed AS MATERIALIZED (
            SELECT
                b.domain_id,
                b.node_id,
                max(b.before) AS before,
                max(b.after) AS after,
                count(*) OVER (PARTITION BY b.domain_id) > most_peers AS are_many
            FROM (
                SELECT a.domain_id, a.node_id, a.content AS before, NULL AS after
                FROM plexsphere.announced_blocks AS a
                WHERE a.node_id = ANY (of_peer)
                    AND a.block = 'peer'
                UNION ALL
                SELECT s.domain_id, s.node_id, NULL, s.content
                FROM shown AS s
            ) AS b
            GROUP BY b.domain_id, b.node_id
            HAVING max(b.before) IS DISTINCT FROM max(b.after)
        ),
        announced AS (
            INSERT INTO plexsphere.announced_blocks AS a
                (node_id, block, domain_id, content, joined_seq)
            SELECT s.node_id, 'peer', s.domain_id, s.content, s.joined_seq
            FROM shown AS s
            ON CONFLICT (node_id, block) DO UPDATE
            SET domain_id = EXCLUDED.domain_id,
                content = EXCLUDED.content,
                joined_seq = CASE
                    WHEN a.domain_id = EXCLUDED.domain_id THEN a.joined_seq
                    ELSE EXCLUDED.joined_seq
                END
            WHERE (a.domain_id, a.content) IS DISTINCT FROM (EXCLUDED.domain_id, EXCLUDED.content)
        ),
        gone AS (
            DELETE FROM plexsphere.announced_blocks AS a
            WHERE a.node_id = ANY (of_peer)
                AND NOT EXISTS (SELECT FROM shown AS s WHERE s.node_id = a.node_id)
        )
        INSERT INTO plexsphere.events (domain_id, block, content)
        SELECT
            c.domain_id,
            'peer',
            json_build_array(c.node_id, c.before::json, c.after::json)::text
        FROM changed AS c
        WHERE NOT c.are_many
        UNION ALL
        SELECT DISTINCT c.domain_id, 'peer', NULL
        FROM changed AS c
        WHERE c.are_many;
    END IF;
    IF of_policy || of_bridge || of_state = '{}' THEN
        RETURN NULL;
    END IF;
    PERFORM
    FROM plexsphere.nodes AS n
    WHERE n.id = ANY (of_policy || of_bridge || of_state)
    ORDER BY n.id
    FOR NO KEY UPDATE;
    WITH changed AS MATERIALIZED (
        SELECT s.*
        FROM plexsphere.shown_blocks(of_policy, of_bridge, of_state) AS s
        LEFT JOIN plexsphere.announced_blocks AS a
            ON a.node_id = s.node_id AND a.block = s.block
        WHERE coalesce(a.content, '') <> s.digest
    ),
    announced AS (
        INSERT INTO plexsphere.announced_blocks AS a (node_id, block, domain_id, content)
        SELECT c.node_id, c.block, c.domain_id, c.digest
        FROM changed AS c
        ON CONFLICT (node_id, block) DO UPDATE
        SET domain_id = EXCLUDED.domain_id, content = EXCLUDED.content
    )
    INSERT INTO plexsphere.events (domain_id, node_id, block, content)
    SELECT c.domain_id, c.node_id, c.block, c.content
    FROM changed AS c;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.announce_reachability() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO plexsphere.events (domain_id, node_id, block, content)
    VALUES (
        NEW.domain_id,
        NEW.id,
        'reachability',
        json_build_array(
            NEW.reachability_state,
            NEW.last_heartbeat_at AT TIME ZONE 'UTC',
            NEW.changed_at AT TIME ZONE 'UTC'
        )::text);
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.audit_days_turn() RETURNS boolean
    LANGUAGE sql
    AS $$
    SELECT pg_catalog.pg_try_advisory_xact_lock(x'6175646974646179'::bigint);
$$;

CREATE FUNCTION plexsphere.bridge_resource_moved() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision('{}', ARRAY[OLD.node_id, NEW.node_id], '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.bridge_resources_came_or_went() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        '{}', ARRAY (SELECT DISTINCT c.node_id FROM changed AS c), '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.bridge_rows(resource uuid) RETURNS json
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT json_build_array(
        (
            SELECT json_build_array(r.enabled, r.listen_port)
            FROM plexsphere.bridge_relays AS r
            WHERE r.bridge_resource_id = resource
        ),
        (
            SELECT
                json_agg(json_build_array(
                    a.peer_node_id,
                    a.fallback_endpoint,
                    a.fallback_endpoint_port
                ) ORDER BY a.peer_node_id)
            FROM plexsphere.bridge_relay_assignments AS a
            WHERE a.bridge_resource_id = resource
        ),
        (
            SELECT
                json_agg(json_build_array(
                    u.id,
                    u.slug,
                    u.kind,
                    u.interface_name,
                    u.listen_port,
                    u.max_peers,
                    u.auth_secret_ref,
                    u.routing_policy,
                    u.created_at AT TIME ZONE 'UTC',
                    u.updated_at AT TIME ZONE 'UTC'
                ) ORDER BY u.slug)
            FROM plexsphere.bridge_user_access_providers AS u
            WHERE u.bridge_resource_id = resource
        ),
        (
            SELECT
                json_agg(json_build_array(
                    i.id,
                    i.slug,
                    i.sni_host,
                    i.target_node_id,
                    i.target_port,
                    i.acme_account_ref,
                    i.created_at AT TIME ZONE 'UTC',
                    i.updated_at AT TIME ZONE 'UTC'
                ) ORDER BY i.slug)
            FROM plexsphere.bridge_ingress_rules AS i
            WHERE i.bridge_resource_id = resource
        ),
        (
            SELECT
                json_agg(json_build_array(
                    t.id,
                    t.slug,
                    t.kind,
                    t.remote_host,
                    t.remote_port,
                    t.auth_secret_ref,
                    t.allowed_subnets,
                    t.routing_policy,
                    t.created_at AT TIME ZONE 'UTC',
                    t.updated_at AT TIME ZONE 'UTC'
                ) ORDER BY t.slug)
            FROM plexsphere.bridge_site_to_site_tunnels AS t
            WHERE t.bridge_resource_id = resource
        )
    );
$$;

CREATE FUNCTION plexsphere.bump_mark(domain uuid) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT concat_ws(' ', domain, pg_current_xact_id(), statement_timestamp());
$$;

CREATE FUNCTION plexsphere.bump_peers_revision(domains uuid[], nodes uuid[], resources uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION plexsphere.create_domain(wanted_name text, wanted_slug text, wanted_range cidr, wanted_description text, wanted_region text, wanted_interval interval, wanted_stale interval, wanted_unreachable interval, request_key text, request_meaning bytea, time_offset interval, wanted_id uuid, event_key_id text, event_public_key bytea, event_private_key bytea, OUT outcome text, OUT domain uuid) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    moment timestamptz := statement_timestamp() + time_offset;
    platform constant uuid := '00000000-0000-0000-0000-000000000000';
    known_meaning bytea;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('plexsphere.create_domain', 0));
    SELECT k.request_hash, d.id
    INTO known_meaning, domain
    FROM plexsphere.idempotency_keys AS k
    JOIN plexsphere.domains AS d ON d.id = k.object_id
    WHERE k.scope = platform
        AND k.key = request_key;
    IF FOUND THEN
        outcome := CASE
            WHEN known_meaning = request_meaning THEN 'found'
            ELSE 'idempotency_key_conflict'
        END;
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
    VALUES (coalesce(wanted_id, plexsphere.uuid_v7(moment)), wanted_name, wanted_slug,
        wanted_range, wanted_description, wanted_region, wanted_interval, wanted_stale,
        wanted_unreachable, moment)
    -- an operator's hand does not wait for the lock above
    ON CONFLICT (slug) DO NOTHING
    RETURNING d.id INTO domain;
    IF NOT FOUND THEN
        outcome := 'domain_slug_conflict';
        RETURN;
    END IF;
    IF event_key_id IS NOT NULL THEN
        INSERT INTO plexsphere.event_keys (domain_id, key_id, public_key, encrypted_private_key)
        VALUES (domain, event_key_id, event_public_key, event_private_key);
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

CREATE FUNCTION plexsphere.delete_domain(gone uuid, OUT outcome text, OUT nodes bigint) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION plexsphere.deregister_node(gone uuid, ahead interval, OUT outcome text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION plexsphere.domains_departed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO plexsphere.departed (object, domain_id)
    SELECT 'domain:' || g.id, g.id
    FROM gone AS g
    ORDER BY g.id
    ON CONFLICT (object) DO UPDATE
    SET departed_at = EXCLUDED.departed_at;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.drop_audit_day(day date) RETURNS boolean
    LANGUAGE plpgsql
    SET lock_timeout TO '100ms'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NOT plexsphere.audit_days_turn() THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS plexsphere.%I', to_char(day, '"audit_rows_"YYYYMMDD'));
    RETURN true;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN false;
END;
$$;

CREATE FUNCTION plexsphere.enrol_node(token uuid, wanted_project uuid, wanted_handle text, wanted_nonce bytea, wanted_key bytea, secret_key_digest bytea, hold_off interval, time_offset interval, node_quota integer DEFAULT NULL::integer, OUT outcome text, OUT node uuid, OUT address inet, OUT mesh_range cidr) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    moment timestamptz := statement_timestamp() + time_offset;
    known plexsphere.bootstrap_tokens;
BEGIN
    SELECT d.mesh_cidr
    INTO mesh_range
    FROM plexsphere.domains AS d
    WHERE d.id = (SELECT t.domain_id FROM plexsphere.bootstrap_tokens AS t WHERE t.id = token)
    FOR NO KEY UPDATE;
    SELECT t.*
    INTO known
    FROM plexsphere.bootstrap_tokens AS t
    WHERE t.id = token;
    IF NOT FOUND THEN
        outcome := 'bootstrap_token_invalid';
        RETURN;
    END IF;
    IF known.project_id <> wanted_project THEN
        outcome := 'project_mismatch';
        RETURN;
    END IF;
    IF known.nonce_digest = wanted_nonce THEN
        SELECT n.id, n.mesh_ip
        INTO node, address
        FROM plexsphere.nodes AS n
        WHERE n.id = known.node_id
            AND n.secret_key_digests[1] = enrol_node.secret_key_digest;
        IF FOUND THEN
            outcome := 'found';
            RETURN;
        END IF;
    END IF;
    outcome := CASE
        WHEN EXISTS (
            SELECT
            FROM plexsphere.bootstrap_tokens AS t
            WHERE t.domain_id = known.domain_id
                AND t.nonce_digest = wanted_nonce
        ) THEN 'nonce_collision'
        WHEN known.consumed_at IS NOT NULL THEN 'token_consumed'
        WHEN known.expires_at <= moment THEN 'token_expired'
        WHEN known.resource_handle <> wanted_handle THEN 'resource_not_found'
    END;
    IF outcome IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT r.outcome, r.node, r.address, r.mesh_range
    INTO outcome, node, address, mesh_range
    FROM plexsphere.register_node(
        known.domain_id, wanted_key, wanted_handle, NULL, NULL,
        enrol_node.secret_key_digest, hold_off, time_offset, node_quota) AS r;
    IF outcome = 'registered' THEN
        UPDATE plexsphere.bootstrap_tokens AS t
        SET consumed_at = moment, node_id = node, nonce_digest = wanted_nonce
        WHERE t.id = token;
    END IF;
END;
$$;

CREATE FUNCTION plexsphere.ensure_event_key(home uuid, proposed_id text, proposed_public_key bytea, proposed_private_key bytea, OUT key_id text, OUT public_key bytea) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = home
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO plexsphere.event_keys AS k (domain_id, key_id, public_key, encrypted_private_key)
    VALUES (home, proposed_id, proposed_public_key, proposed_private_key)
    ON CONFLICT (domain_id) WHERE transition_expires IS NULL DO NOTHING;
    SELECT k.key_id, k.public_key
    INTO ensure_event_key.key_id, ensure_event_key.public_key
    FROM plexsphere.event_keys AS k
    WHERE k.domain_id = home
        AND k.transition_expires IS NULL;
END;
$$;

CREATE FUNCTION plexsphere.free_address(home uuid, mesh_range cidr, looked_to inet, released_before timestamp with time zone, OUT address inet, OUT next_one inet) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION plexsphere.grants_ended() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM plexsphere.role_grants AS g
    USING changed AS c
    WHERE g.object = TG_ARGV[0] || c.id;
    DELETE FROM plexsphere.withheld_tuples AS w
    USING changed AS c
    WHERE w.object = TG_ARGV[0] || c.id;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.make_audit_day(day date) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    name text := to_char(day, '"audit_rows_"YYYYMMDD');
    low timestamptz := day::timestamp AT TIME ZONE 'UTC';
    high timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('plexsphere.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Attaching takes the second lock in any case, to see that no row of the day is in there. Without
    -- the first an insert would wait for it on its way into the default partition, and then fail.
    LOCK TABLE ONLY plexsphere.audit_rows IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE ONLY plexsphere.audit_rows_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
        'CREATE TABLE plexsphere.%I (LIKE plexsphere.audit_rows INCLUDING DEFAULTS)', name);
    EXECUTE format(
        'WITH moved AS (
            DELETE FROM plexsphere.audit_rows_default
            WHERE occurred_at >= $1 AND occurred_at < $2
            RETURNING *
        )
        INSERT INTO plexsphere.%I SELECT * FROM moved', name) USING low, high;
    EXECUTE format(
        'ALTER TABLE plexsphere.audit_rows ATTACH PARTITION plexsphere.%I FOR VALUES FROM (%L) TO (%L)',
        name, low, high);
END;
$_$;

CREATE FUNCTION plexsphere.make_audit_days(first_day date, days integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET lock_timeout TO '100ms'
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    missing date[] := ARRAY (
        SELECT d.day
        FROM (SELECT first_day + offset_days AS day FROM generate_series(0, days - 1) AS offset_days) AS d
        WHERE to_regclass(to_char(d.day, '"plexsphere.audit_rows_"YYYYMMDD')) IS NULL
    );
    day date;
BEGIN
    IF missing = '{}' THEN
        RETURN true;
    END IF;
    IF NOT plexsphere.audit_days_turn() THEN
        RETURN false;
    END IF;
    FOREACH day IN ARRAY missing LOOP
        PERFORM plexsphere.make_audit_day(day);
    END LOOP;
    -- Once a day is often enough for what processes that ended have left behind.
    DELETE FROM plexsphere.audit_writers AS w
    WHERE w.written_at < statement_timestamp() - interval '7 days';
    RETURN true;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN false;
END;
$$;

CREATE FUNCTION plexsphere.node_access_reduced() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM pg_notify('plexsphere_access', OLD.id::text);
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.node_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION plexsphere.nodes_came_or_went() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        ARRAY (SELECT DISTINCT c.domain_id FROM changed AS c), '{}', '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.nodes_departed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO plexsphere.departed (object, domain_id)
    SELECT 'node:' || g.id, g.domain_id
    FROM gone AS g
    ORDER BY g.id
    ON CONFLICT (object) DO UPDATE
    SET domain_id = EXCLUDED.domain_id, departed_at = EXCLUDED.departed_at;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.note_assigned_peer() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO plexsphere.changed_blocks (block, node_id)
        VALUES ('peer', OLD.peer_node_id)
        ON CONFLICT DO NOTHING;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO plexsphere.changed_blocks (block, node_id)
        VALUES ('peer', NEW.peer_node_id)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.note_moved_bridge() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO plexsphere.changed_blocks (block, node_id)
    SELECT 'peer', a.peer_node_id
    FROM plexsphere.bridge_relay_assignments AS a
    WHERE a.bridge_resource_id = NEW.id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.note_node() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO plexsphere.changed_blocks (block, node_id)
    VALUES ('peer', OLD.id), ('peer', NEW.id)
    ON CONFLICT DO NOTHING;
    IF OLD.domain_id <> NEW.domain_id THEN
        INSERT INTO plexsphere.changed_blocks (block, node_id)
        SELECT 'peer', a.peer_node_id
        FROM plexsphere.bridge_resources AS b
        JOIN plexsphere.bridge_relay_assignments AS a ON a.bridge_resource_id = b.id
        WHERE b.node_id = NEW.id
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.note_nodes() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO plexsphere.changed_blocks (block, node_id)
    SELECT 'peer', c.id
    FROM changed AS c
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.note_row_of_bridge() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    resources uuid[] := '{}';
BEGIN
    IF TG_OP <> 'INSERT' THEN
        resources := resources || OLD.bridge_resource_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        resources := resources || NEW.bridge_resource_id;
    END IF;
    INSERT INTO plexsphere.changed_blocks (block, node_id)
    SELECT 'bridge', b.node_id
    FROM plexsphere.bridge_resources AS b
    WHERE b.id = ANY (resources)
    ON CONFLICT DO NOTHING;
    IF TG_NARGS > 0 THEN
        INSERT INTO plexsphere.changed_blocks (block, node_id)
        SELECT 'peer', a.peer_node_id
        FROM plexsphere.bridge_relay_assignments AS a
        WHERE a.bridge_resource_id = ANY (resources)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.note_row_of_node() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO plexsphere.changed_blocks (block, node_id)
        VALUES (TG_ARGV[0], OLD.node_id)
        ON CONFLICT DO NOTHING;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO plexsphere.changed_blocks (block, node_id)
        VALUES (TG_ARGV[0], NEW.node_id)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.peer_event(node uuid, mesh_ip inet, public_key bytea) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT jsonb_build_object(
        'node_id', node, 'mesh_ip', host(mesh_ip), 'public_key', encode(public_key, 'base64'));
$$;

CREATE FUNCTION plexsphere.record_write(relation text, subject text, object text, correlation_id text) RETURNS void
    LANGUAGE plpgsql STRICT
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    kind constant text := split_part(object, ':', 1);
    object_id constant uuid := split_part(object, ':', 2);
BEGIN
    INSERT INTO plexsphere.audit_rows
        (domain_id, relation, outcome, subject, object, correlation_id)
    VALUES (
        coalesce(
            CASE kind
                WHEN 'node' THEN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = object_id)
                ELSE (SELECT d.id FROM plexsphere.domains AS d WHERE d.id = object_id)
            END,
            (SELECT p.domain_id FROM plexsphere.departed AS p WHERE p.object = record_write.object)
        ),
        record_write.relation,
        'granted',
        record_write.subject,
        record_write.object,
        record_write.correlation_id
    );
END;
$$;

CREATE FUNCTION plexsphere.refuse_truncate() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of plexsphere.% would bypass peers_revision and events', TG_TABLE_NAME
        USING HINT = 'DELETE FROM it instead.', ERRCODE = 'feature_not_supported';
END;
$$;

CREATE FUNCTION plexsphere.register_node(home uuid, wanted_key bytea, wanted_name text, request_key text, request_meaning bytea, secret_key_digest bytea, hold_off interval, time_offset interval, node_quota integer DEFAULT NULL::integer, OUT outcome text, OUT node uuid, OUT address inet, OUT mesh_range cidr, OUT tokens_not_before timestamp with time zone) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    moment timestamptz := statement_timestamp() + time_offset;
    known_next inet;
    known_meaning bytea;
BEGIN
    SELECT d.mesh_cidr, d.next_address
    INTO mesh_range, known_next
    FROM plexsphere.domains AS d
    WHERE d.id = home
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'domain_not_found';
        RETURN;
    END IF;
    SELECT k.request_hash, n.id, n.mesh_ip
    INTO known_meaning, node, address
    FROM plexsphere.idempotency_keys AS k
    JOIN plexsphere.nodes AS n ON n.id = k.object_id
    WHERE k.scope = home
        AND k.key = request_key;
    IF FOUND AND known_meaning <> request_meaning THEN
        outcome := 'idempotency_key_conflict';
        RETURN;
    ELSIF FOUND THEN
        tokens_not_before := date_trunc('second', moment) + interval '1 second';
        UPDATE plexsphere.nodes AS n
        SET secret_key_digests = ARRAY[register_node.secret_key_digest],
            tokens_not_before = register_node.tokens_not_before
        WHERE n.id = node;
        outcome := 'repeated';
        RETURN;
    END IF;
    IF EXISTS (
        SELECT
        FROM plexsphere.nodes AS n
        WHERE n.domain_id = home
            AND sha256(n.public_key) = sha256(wanted_key)
    ) THEN
        outcome := 'public_key_registered';
        RETURN;
    END IF;
    IF node_quota <= (
        SELECT count(*)
        FROM (
            SELECT
            FROM plexsphere.nodes AS n
            WHERE n.domain_id = home
            LIMIT node_quota
        ) AS counted
    ) THEN
        outcome := 'node_quota_exceeded';
        RETURN;
    END IF;
    SELECT f.address, f.next_one
    INTO address, known_next
    FROM plexsphere.free_address(home, mesh_range, known_next, moment - hold_off) AS f;
    IF address IS NULL THEN
        outcome := 'pool_exhausted';
        RETURN;
    END IF;
    node := plexsphere.uuid_v7(moment);
    UPDATE plexsphere.domains AS d
    SET next_address = known_next
    WHERE d.id = home
        AND d.next_address IS DISTINCT FROM known_next;
    DELETE FROM plexsphere.released_addresses AS r
    WHERE r.domain_id = home
        AND r.mesh_ip = address;
    INSERT INTO plexsphere.nodes
        (id, domain_id, name, mesh_ip, public_key, secret_key_digests, changed_at, created_at)
    VALUES (node, home, wanted_name, address, wanted_key,
        ARRAY[register_node.secret_key_digest], moment, moment);
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
    IF request_key IS NOT NULL THEN
        INSERT INTO plexsphere.idempotency_keys AS k (scope, key, request_hash, object_id)
        VALUES (home, request_key, request_meaning, node)
        -- the Node that the key made is gone
        ON CONFLICT ON CONSTRAINT idempotency_keys_pkey DO UPDATE
        SET request_hash = EXCLUDED.request_hash, object_id = EXCLUDED.object_id;
    END IF;
    outcome := 'registered';
END;
$$;

CREATE FUNCTION plexsphere.relay_assignment_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION plexsphere.relay_assignments_came_or_went() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        '{}', ARRAY (SELECT DISTINCT c.peer_node_id FROM changed AS c), '{}');
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.relay_changed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        '{}', '{}', ARRAY[OLD.bridge_resource_id, NEW.bridge_resource_id]);
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.relays_came_or_went() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM plexsphere.bump_peers_revision(
        '{}', '{}', ARRAY (SELECT c.bridge_resource_id FROM changed AS c));
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.rotate_event_key(home uuid, new_id text, new_public_key bytea, new_private_key bytea, transition interval, OUT outcome text, OUT previous_id text, OUT expires timestamp with time zone) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    event_seq bigint;
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = home
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'domain_not_found';
        RETURN;
    END IF;
    SELECT max(k.transition_expires)
    INTO expires
    FROM plexsphere.event_keys AS k
    WHERE k.domain_id = home
        AND k.transition_expires > statement_timestamp();
    IF expires IS NOT NULL THEN
        outcome := 'in_transition';
        RETURN;
    END IF;
    DELETE FROM plexsphere.event_keys AS k
    WHERE k.domain_id = home
        AND k.transition_expires IS NOT NULL;
    expires := date_trunc('second', statement_timestamp() + transition);
    UPDATE plexsphere.event_keys AS k
    SET transition_expires = expires
    WHERE k.domain_id = home
    RETURNING k.key_id INTO previous_id;
    IF NOT FOUND THEN
        outcome := 'no_key';
        RETURN;
    END IF;
    INSERT INTO plexsphere.events (domain_id, block, content)
    VALUES (
        home,
        'signing_key',
        json_build_array(
            new_id, encode(new_public_key, 'hex'), previous_id, expires AT TIME ZONE 'UTC'
        )::text)
    RETURNING seq INTO event_seq;
    INSERT INTO plexsphere.event_keys
        (domain_id, key_id, public_key, encrypted_private_key, signs_after)
    VALUES (home, new_id, new_public_key, new_private_key, event_seq);
    outcome := 'rotated';
END;
$$;

CREATE FUNCTION plexsphere.rotate_node_key(node uuid, wanted_key bytea, OUT outcome text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    home uuid;
    had_key bytea;
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = node)
    FOR NO KEY UPDATE;
    SELECT n.domain_id, n.public_key
    INTO home, had_key
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
        outcome := 'rotated';
    END IF;
END;
$$;

CREATE FUNCTION plexsphere.shown_blocks(of_policy uuid[], of_bridge uuid[], of_state uuid[]) RETURNS TABLE(node_id uuid, domain_id uuid, block text, content text, digest text)
    LANGUAGE sql STABLE
    AS $$
    SELECT
        n.id,
        n.domain_id,
        'policy',
        CASE WHEN p.bytes <= 65536 THEN coalesce(p.rows, '[]') END,
        p.digest
    FROM plexsphere.nodes AS n
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(octet_length(c.rule_payload)), 0) AS bytes,
            -- hex takes two bytes for each, so of a large one nothing is made
            CASE
                WHEN sum(octet_length(c.rule_payload)) <= 65536 THEN
                    json_agg(json_build_array(
                        c.policy_id,
                        c.revision_id,
                        encode(c.rule_payload, 'hex'),
                        encode(c.fingerprint, 'hex')
                    ) ORDER BY c.policy_id)::text
            END AS rows,
            -- what the merged block shows, and whether it can be shown at all
            CASE
                WHEN count(*) = 0 THEN ''
                ELSE encode(sha256(
                    uuid_send((array_agg(c.revision_id ORDER BY c.policy_id))[1])
                    || boolsend(bool_and(sha256(c.rule_payload) = c.fingerprint))
                    || string_agg(c.rule_payload, '' ORDER BY c.policy_id)
                ), 'hex')
            END AS digest
        FROM plexsphere.policy_compiled_ruleset AS c
        WHERE c.node_id = n.id
    ) AS p
    WHERE n.id = ANY (of_policy)
    UNION ALL
    SELECT
        n.id,
        n.domain_id,
        'bridge',
        CASE WHEN coalesce(octet_length(b.rows), 0) <= 65536 THEN coalesce(b.rows, 'null') END,
        coalesce(encode(sha256(convert_to(b.rows, 'UTF8')), 'hex'), '')
    FROM plexsphere.nodes AS n
    LEFT JOIN LATERAL (
        SELECT json_build_array(r.id, plexsphere.bridge_rows(r.id))::text AS rows
        FROM plexsphere.bridge_resources AS r
        WHERE r.node_id = n.id
    ) AS b ON true
    WHERE n.id = ANY (of_bridge)
    UNION ALL
    SELECT
        n.id,
        n.domain_id,
        'state',
        CASE WHEN coalesce(octet_length(s.rows), 0) <= 65536 THEN coalesce(s.rows, '[]') END,
        coalesce(encode(sha256(convert_to(s.rows, 'UTF8')), 'hex'), '')
    FROM plexsphere.nodes AS n
    CROSS JOIN LATERAL (
        SELECT
            json_agg(
                json_build_array(e.kind, e.key, e.value, e.workload_tag)
                ORDER BY e.kind, e.key
            )::text AS rows
        FROM plexsphere.node_state_entries AS e
        WHERE e.node_id = n.id
            AND e.kind <> 'report'
    ) AS s
    WHERE n.id = ANY (of_state);
$$;

CREATE FUNCTION plexsphere.shown_peers(nodes uuid[]) RETURNS TABLE(node_id uuid, domain_id uuid, content text)
    LANGUAGE sql STABLE
    AS $$
    SELECT
        n.id,
        n.domain_id,
        json_build_array(
            host(n.mesh_ip),
            encode(n.public_key, 'hex'),
            f.fallback_endpoint,
            f.fallback_endpoint_port
        )::text
    FROM plexsphere.nodes AS n
    LEFT JOIN LATERAL (
        SELECT
            a.fallback_endpoint,
            a.fallback_endpoint_port
        FROM plexsphere.bridge_relay_assignments AS a
        WHERE a.peer_node_id = n.id
            AND (
                SELECT r.enabled
                FROM plexsphere.bridge_relays AS r
                WHERE r.bridge_resource_id = a.bridge_resource_id
            )
            AND n.domain_id = (
                SELECT h.domain_id
                FROM plexsphere.bridge_resources AS b
                JOIN plexsphere.nodes AS h ON h.id = b.node_id
                WHERE b.id = a.bridge_resource_id
            )
        ORDER BY a.bridge_resource_id
        LIMIT 1
    ) AS f ON true
    WHERE n.id = ANY (nodes);
$$;

CREATE FUNCTION plexsphere.timeline_history(timeline integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF timeline > 1 AND has_function_privilege('pg_read_file(text)', 'EXECUTE') THEN
        RETURN pg_read_file('pg_wal/' || lpad(upper(to_hex(timeline)), 8, '0') || '.history');
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN undefined_file OR insufficient_privilege THEN
        RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.tuples_reduced() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM pg_notify('plexsphere_access', substr(OLD.object, length('node:') + 1));
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.update_domain(changed uuid, wanted_name text, wanted_description text, wanted_region text, sets_policy boolean, wanted_interval interval, wanted_stale interval, wanted_unreachable interval, time_offset interval, OUT outcome text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = changed
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'domain_not_found';
        RETURN;
    END IF;
    UPDATE plexsphere.domains AS d
    SET
        name = coalesce(wanted_name, d.name),
        description = coalesce(wanted_description, d.description),
        region = coalesce(wanted_region, d.region),
        heartbeat_interval = CASE WHEN sets_policy THEN wanted_interval ELSE d.heartbeat_interval END,
        stale_after = CASE WHEN sets_policy THEN wanted_stale ELSE d.stale_after END,
        unreachable_after = CASE WHEN sets_policy THEN wanted_unreachable ELSE d.unreachable_after END,
        updated_at = statement_timestamp() + time_offset
    WHERE d.id = changed
        AND (
            d.name <> wanted_name
            OR d.description IS DISTINCT FROM coalesce(wanted_description, d.description)
            OR d.region IS DISTINCT FROM coalesce(wanted_region, d.region)
            OR sets_policy AND (
                d.heartbeat_interval IS DISTINCT FROM wanted_interval
                OR d.stale_after IS DISTINCT FROM wanted_stale
                OR d.unreachable_after IS DISTINCT FROM wanted_unreachable));
    outcome := CASE WHEN FOUND THEN 'updated' ELSE 'same' END;
END;
$$;

CREATE FUNCTION plexsphere.uuid_v7(moment timestamp with time zone) RETURNS uuid
    LANGUAGE sql
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

CREATE TABLE plexsphere.announced_blocks (
    node_id uuid NOT NULL,
    block text NOT NULL,
    domain_id uuid NOT NULL,
    content text NOT NULL,
    joined_seq bigint DEFAULT 0 NOT NULL
);

CREATE TABLE plexsphere.audit_rows (
    seq bigint NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    domain_id uuid,
    relation text NOT NULL,
    outcome text NOT NULL,
    subject text NOT NULL,
    object text NOT NULL,
    correlation_id text DEFAULT ''::text NOT NULL,
    digest text
)
PARTITION BY RANGE (occurred_at);

CREATE SEQUENCE plexsphere.audit_rows_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE plexsphere.audit_rows_seq OWNED BY plexsphere.audit_rows.seq;

CREATE TABLE plexsphere.audit_rows_default (
    seq bigint DEFAULT nextval('plexsphere.audit_rows_seq'::regclass) CONSTRAINT audit_rows_seq_not_null NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT audit_rows_occurred_at_not_null NOT NULL,
    domain_id uuid,
    relation text CONSTRAINT audit_rows_relation_not_null NOT NULL,
    outcome text CONSTRAINT audit_rows_outcome_not_null NOT NULL,
    subject text CONSTRAINT audit_rows_subject_not_null NOT NULL,
    object text CONSTRAINT audit_rows_object_not_null NOT NULL,
    correlation_id text DEFAULT ''::text CONSTRAINT audit_rows_correlation_id_not_null NOT NULL,
    digest text
);

CREATE TABLE plexsphere.audit_writers (
    writer uuid NOT NULL,
    batch bigint NOT NULL,
    written_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE plexsphere.bootstrap_tokens (
    id uuid NOT NULL,
    domain_id uuid NOT NULL,
    digest bytea NOT NULL,
    project_id uuid NOT NULL,
    resource_handle text,
    issuer text NOT NULL COLLATE pg_catalog."C",
    issued_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    consumed_at timestamp with time zone,
    node_id uuid,
    nonce_digest bytea,
    CONSTRAINT bootstrap_tokens_consumed CHECK ((num_nulls(consumed_at, node_id, nonce_digest) = ANY (ARRAY[0, 3]))),
    CONSTRAINT bootstrap_tokens_digest CHECK ((octet_length(digest) = 32))
);

CREATE TABLE plexsphere.bridge_ingress_rules (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    bridge_resource_id uuid NOT NULL,
    slug text NOT NULL COLLATE pg_catalog."C",
    sni_host text NOT NULL,
    target_node_id uuid NOT NULL,
    target_port integer NOT NULL,
    acme_account_ref text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bridge_ingress_rules_slug_check CHECK (((char_length(slug) >= 1) AND (char_length(slug) <= 63))),
    CONSTRAINT bridge_ingress_rules_sni_host_check CHECK (((char_length(sni_host) >= 1) AND (char_length(sni_host) <= 253))),
    CONSTRAINT bridge_ingress_rules_target_port_check CHECK (((target_port >= 1) AND (target_port <= 65535)))
);

CREATE TABLE plexsphere.bridge_relay_assignments (
    bridge_resource_id uuid NOT NULL,
    peer_node_id uuid NOT NULL,
    fallback_endpoint text NOT NULL,
    fallback_endpoint_port integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bridge_relay_assignments_fallback_endpoint_check CHECK (((char_length(fallback_endpoint) <= 253) AND (fallback_endpoint ~ '^([0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$'::text))),
    CONSTRAINT bridge_relay_assignments_fallback_endpoint_port_check CHECK (((fallback_endpoint_port >= 1) AND (fallback_endpoint_port <= 65535)))
);

CREATE TABLE plexsphere.bridge_relays (
    bridge_resource_id uuid NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    listen_port integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bridge_relays_listen_port_check CHECK (((listen_port >= 1) AND (listen_port <= 65535)))
);

CREATE TABLE plexsphere.bridge_resources (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    node_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE plexsphere.bridge_site_to_site_tunnels (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    bridge_resource_id uuid NOT NULL,
    slug text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    remote_host text NOT NULL,
    remote_port integer NOT NULL,
    auth_secret_ref text NOT NULL,
    allowed_subnets cidr[] DEFAULT '{}'::cidr[] NOT NULL,
    routing_policy text DEFAULT 'bidirectional'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bridge_site_to_site_tunnels_allowed_subnets_check CHECK ((array_position(allowed_subnets, NULL::cidr) IS NULL)),
    CONSTRAINT bridge_site_to_site_tunnels_auth_secret_ref_check CHECK ((auth_secret_ref ~ '^secret:[^/]+/[^/]+/[^:]+(:[^:]+)?$'::text)),
    CONSTRAINT bridge_site_to_site_tunnels_kind_check CHECK ((kind = ANY (ARRAY['wireguard'::text, 'ipsec'::text, 'openvpn'::text]))),
    CONSTRAINT bridge_site_to_site_tunnels_remote_host_check CHECK (((char_length(remote_host) >= 1) AND (char_length(remote_host) <= 253))),
    CONSTRAINT bridge_site_to_site_tunnels_remote_port_check CHECK (((remote_port >= 1) AND (remote_port <= 65535))),
    CONSTRAINT bridge_site_to_site_tunnels_routing_policy_check CHECK ((routing_policy = ANY (ARRAY['bidirectional'::text, 'ingress_only'::text, 'egress_only'::text]))),
    CONSTRAINT bridge_site_to_site_tunnels_slug_check CHECK (((char_length(slug) >= 1) AND (char_length(slug) <= 63)))
);

CREATE TABLE plexsphere.bridge_user_access_providers (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    bridge_resource_id uuid NOT NULL,
    slug text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    interface_name text NOT NULL,
    listen_port integer NOT NULL,
    max_peers integer NOT NULL,
    auth_secret_ref text NOT NULL,
    routing_policy jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bridge_user_access_providers_auth_secret_ref_check CHECK ((auth_secret_ref ~ '^secret:[^/]+/[^/]+/[^:]+(:[^:]+)?$'::text)),
    CONSTRAINT bridge_user_access_providers_interface_name_check CHECK ((interface_name <> ''::text)),
    CONSTRAINT bridge_user_access_providers_kind_check CHECK ((kind = ANY (ARRAY['netbird'::text, 'tailscale'::text, 'wireguard'::text]))),
    CONSTRAINT bridge_user_access_providers_listen_port_check CHECK (((listen_port >= 1) AND (listen_port <= 65535))),
    CONSTRAINT bridge_user_access_providers_max_peers_check CHECK ((max_peers >= 1)),
    CONSTRAINT bridge_user_access_providers_routing_policy_check CHECK ((jsonb_typeof(routing_policy) = 'object'::text)),
    CONSTRAINT bridge_user_access_providers_slug_check CHECK (((char_length(slug) >= 1) AND (char_length(slug) <= 63)))
);

CREATE UNLOGGED TABLE plexsphere.changed_blocks (
    xact xid8 DEFAULT pg_current_xact_id() NOT NULL,
    block text NOT NULL,
    node_id uuid NOT NULL
);

CREATE TABLE plexsphere.departed (
    object text NOT NULL,
    domain_id uuid NOT NULL,
    departed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE plexsphere.domains (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    slug text,
    mesh_cidr cidr,
    peers_revision uuid DEFAULT gen_random_uuid() NOT NULL,
    heartbeat_interval interval,
    stale_after interval,
    unreachable_after interval,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    description text,
    region text,
    authz_token text,
    next_address inet,
    updated_at timestamp with time zone,
    CONSTRAINT domains_reachability_whole CHECK ((num_nulls(heartbeat_interval, stale_after, unreachable_after) = ANY (ARRAY[0, 3])))
)
WITH (fillfactor='50');

CREATE TABLE plexsphere.evaluator_watch (
    is_only boolean DEFAULT true NOT NULL,
    watching_since timestamp with time zone NOT NULL,
    swept_at timestamp with time zone NOT NULL,
    CONSTRAINT evaluator_watch_is_only_check CHECK (is_only)
);

CREATE TABLE plexsphere.event_keys (
    domain_id uuid NOT NULL,
    key_id text NOT NULL COLLATE pg_catalog."C",
    public_key bytea NOT NULL,
    encrypted_private_key bytea NOT NULL,
    signs_after bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    transition_expires timestamp with time zone,
    CONSTRAINT event_keys_public_key_check CHECK ((octet_length(public_key) = 32))
);

CREATE TABLE plexsphere.events (
    seq bigint NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    domain_id uuid NOT NULL,
    node_id uuid,
    block text NOT NULL,
    content text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    published_at timestamp with time zone
);

ALTER TABLE plexsphere.events ALTER COLUMN seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME plexsphere.events_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE plexsphere.fences (
    object text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE plexsphere.idempotency_keys (
    scope uuid NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    request_hash bytea NOT NULL,
    object_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE plexsphere.nodes (
    id uuid NOT NULL,
    domain_id uuid NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    mesh_ip inet,
    public_key bytea,
    reachability_state text DEFAULT ''::text NOT NULL,
    last_heartbeat_at timestamp with time zone,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    authz_token text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    secret_key_digests bytea[] DEFAULT '{}'::bytea[] NOT NULL,
    tokens_not_before timestamp with time zone,
    CONSTRAINT nodes_secret_keys CHECK ((cardinality(secret_key_digests) <= 2))
)
WITH (fillfactor='80');

CREATE TABLE plexsphere.role_grants (
    object text NOT NULL COLLATE pg_catalog."C",
    relation text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE plexsphere.withheld_tuples (
    object text NOT NULL COLLATE pg_catalog."C",
    relation text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE VIEW plexsphere.implied_tuples AS
 SELECT ('node:'::text || n.id) AS object,
    t.relation,
    t.subject
   FROM (plexsphere.nodes n
     CROSS JOIN LATERAL ( VALUES ('agent'::text,('node:'::text || n.id)), ('domain'::text,('domain:'::text || n.domain_id))) t(relation, subject))
  WHERE (NOT (EXISTS ( SELECT
           FROM plexsphere.withheld_tuples w
          WHERE ((w.object = ('node:'::text || n.id)) AND (w.relation = t.relation) AND (w.subject = t.subject)))))
UNION ALL
 SELECT ('domain:'::text || d.id) AS object,
    'platform'::text AS relation,
    'platform:plexsphere'::text AS subject
   FROM plexsphere.domains d
UNION ALL
 SELECT g.object,
    g.relation,
    g.subject
   FROM plexsphere.role_grants g;

CREATE TABLE plexsphere.node_bodies (
    node_id uuid NOT NULL,
    digest text NOT NULL COLLATE pg_catalog."C",
    served_at timestamp with time zone NOT NULL,
    bytes integer NOT NULL,
    body bytea
);
ALTER TABLE ONLY plexsphere.node_bodies ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE TABLE plexsphere.node_pulls (
    node_id uuid NOT NULL,
    digest text NOT NULL,
    granted_at timestamp with time zone NOT NULL,
    since timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE plexsphere.node_state_entries (
    node_id uuid NOT NULL,
    kind text NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    value text NOT NULL,
    workload_tag text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT node_state_entries_key_check CHECK (((char_length(key) >= 1) AND (char_length(key) <= 128))),
    CONSTRAINT node_state_entries_kind_check CHECK ((kind = ANY (ARRAY['metadata'::text, 'data'::text, 'report'::text])))
);

CREATE TABLE plexsphere.outbox (
    seq bigint NOT NULL,
    domain_id uuid,
    type text NOT NULL,
    object text NOT NULL COLLATE pg_catalog."C",
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    tuples jsonb DEFAULT '[]'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    drained_at timestamp with time zone,
    parked_at timestamp with time zone,
    parked_because text,
    CONSTRAINT outbox_tuples_are_a_list CHECK ((jsonb_typeof(tuples) = 'array'::text)),
    CONSTRAINT outbox_waits_with_tuples CHECK (((drained_at IS NOT NULL) OR (tuples <> '[]'::jsonb)))
);

ALTER TABLE plexsphere.outbox ALTER COLUMN seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME plexsphere.outbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE plexsphere.policy_compiled_ruleset (
    node_id uuid NOT NULL,
    policy_id uuid NOT NULL,
    revision_id uuid NOT NULL,
    rule_payload bytea NOT NULL,
    fingerprint bytea NOT NULL,
    compiled_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE plexsphere.published_events (
    is_row boolean DEFAULT true NOT NULL,
    number bigint DEFAULT 0 NOT NULL,
    CONSTRAINT published_events_is_row_check CHECK (is_row)
);

CREATE TABLE plexsphere.released_addresses (
    domain_id uuid NOT NULL,
    mesh_ip inet NOT NULL,
    released_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE plexsphere.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE VIEW plexsphere.tenancy_nodes AS
 SELECT id,
    id AS node_id,
    domain_id,
    name,
    (host(mesh_ip))::inet AS mesh_ip,
    public_key,
    reachability_state,
    last_heartbeat_at,
    changed_at,
    created_at
   FROM plexsphere.nodes n;

CREATE TABLE plexsphere.tuple_comparison (
    is_only boolean DEFAULT true NOT NULL,
    begun_at timestamp with time zone,
    ended_at timestamp with time zone,
    seconds double precision DEFAULT 0 NOT NULL,
    tuples bigint DEFAULT 0 NOT NULL,
    differences bigint DEFAULT 0 NOT NULL,
    mended bigint DEFAULT 0 NOT NULL,
    CONSTRAINT tuple_comparison_is_only_check CHECK (is_only)
);

ALTER TABLE ONLY plexsphere.audit_rows ATTACH PARTITION plexsphere.audit_rows_default DEFAULT;

ALTER TABLE ONLY plexsphere.audit_rows ALTER COLUMN seq SET DEFAULT nextval('plexsphere.audit_rows_seq'::regclass);

ALTER TABLE ONLY plexsphere.announced_blocks
    ADD CONSTRAINT announced_blocks_pkey PRIMARY KEY (node_id, block);

ALTER TABLE ONLY plexsphere.audit_rows
    ADD CONSTRAINT audit_rows_pkey PRIMARY KEY (seq, occurred_at);

ALTER TABLE ONLY plexsphere.audit_rows_default
    ADD CONSTRAINT audit_rows_default_pkey PRIMARY KEY (seq, occurred_at);

ALTER TABLE ONLY plexsphere.audit_writers
    ADD CONSTRAINT audit_writers_pkey PRIMARY KEY (writer);

ALTER TABLE ONLY plexsphere.bootstrap_tokens
    ADD CONSTRAINT bootstrap_tokens_nonces UNIQUE (domain_id, nonce_digest);

ALTER TABLE ONLY plexsphere.bootstrap_tokens
    ADD CONSTRAINT bootstrap_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY plexsphere.bridge_ingress_rules
    ADD CONSTRAINT bridge_ingress_rules_bridge_resource_id_slug_key UNIQUE (bridge_resource_id, slug);

ALTER TABLE ONLY plexsphere.bridge_ingress_rules
    ADD CONSTRAINT bridge_ingress_rules_pkey PRIMARY KEY (id);

ALTER TABLE ONLY plexsphere.bridge_relay_assignments
    ADD CONSTRAINT bridge_relay_assignments_pkey PRIMARY KEY (bridge_resource_id, peer_node_id);

ALTER TABLE ONLY plexsphere.bridge_relays
    ADD CONSTRAINT bridge_relays_pkey PRIMARY KEY (bridge_resource_id);

ALTER TABLE ONLY plexsphere.bridge_resources
    ADD CONSTRAINT bridge_resources_node_id_key UNIQUE (node_id);

ALTER TABLE ONLY plexsphere.bridge_resources
    ADD CONSTRAINT bridge_resources_pkey PRIMARY KEY (id);

ALTER TABLE ONLY plexsphere.bridge_site_to_site_tunnels
    ADD CONSTRAINT bridge_site_to_site_tunnels_bridge_resource_id_slug_key UNIQUE (bridge_resource_id, slug);

ALTER TABLE ONLY plexsphere.bridge_site_to_site_tunnels
    ADD CONSTRAINT bridge_site_to_site_tunnels_pkey PRIMARY KEY (id);

ALTER TABLE ONLY plexsphere.bridge_user_access_providers
    ADD CONSTRAINT bridge_user_access_providers_bridge_resource_id_slug_key UNIQUE (bridge_resource_id, slug);

ALTER TABLE ONLY plexsphere.bridge_user_access_providers
    ADD CONSTRAINT bridge_user_access_providers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY plexsphere.changed_blocks
    ADD CONSTRAINT changed_blocks_pkey PRIMARY KEY (xact, block, node_id);

ALTER TABLE ONLY plexsphere.departed
    ADD CONSTRAINT departed_pkey PRIMARY KEY (object);

ALTER TABLE ONLY plexsphere.domains
    ADD CONSTRAINT domains_pkey PRIMARY KEY (id);

ALTER TABLE ONLY plexsphere.domains
    ADD CONSTRAINT domains_slug_key UNIQUE (slug);

ALTER TABLE ONLY plexsphere.evaluator_watch
    ADD CONSTRAINT evaluator_watch_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY plexsphere.event_keys
    ADD CONSTRAINT event_keys_pkey PRIMARY KEY (domain_id, key_id);

ALTER TABLE ONLY plexsphere.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY plexsphere.fences
    ADD CONSTRAINT fences_pkey PRIMARY KEY (object);

ALTER TABLE ONLY plexsphere.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key);

ALTER TABLE ONLY plexsphere.node_bodies
    ADD CONSTRAINT node_bodies_pkey PRIMARY KEY (node_id, digest);

ALTER TABLE ONLY plexsphere.node_pulls
    ADD CONSTRAINT node_pulls_pkey PRIMARY KEY (node_id);

ALTER TABLE ONLY plexsphere.node_state_entries
    ADD CONSTRAINT node_state_entries_pkey PRIMARY KEY (node_id, kind, key);

ALTER TABLE ONLY plexsphere.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY plexsphere.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY plexsphere.policy_compiled_ruleset
    ADD CONSTRAINT policy_compiled_ruleset_pkey PRIMARY KEY (node_id, policy_id);

ALTER TABLE ONLY plexsphere.published_events
    ADD CONSTRAINT published_events_pkey PRIMARY KEY (is_row);

ALTER TABLE ONLY plexsphere.released_addresses
    ADD CONSTRAINT released_addresses_pkey PRIMARY KEY (domain_id, mesh_ip);

ALTER TABLE ONLY plexsphere.role_grants
    ADD CONSTRAINT role_grants_pkey PRIMARY KEY (object, relation, subject);

ALTER TABLE ONLY plexsphere.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY plexsphere.tuple_comparison
    ADD CONSTRAINT tuple_comparison_pkey PRIMARY KEY (is_only);

ALTER TABLE ONLY plexsphere.withheld_tuples
    ADD CONSTRAINT withheld_tuples_pkey PRIMARY KEY (object, relation, subject);

CREATE INDEX audit_rows_by_domain ON ONLY plexsphere.audit_rows USING btree (domain_id, seq);

CREATE INDEX audit_rows_by_object ON ONLY plexsphere.audit_rows USING btree (object, seq DESC);

CREATE INDEX audit_rows_default_domain_id_seq_idx ON plexsphere.audit_rows_default USING btree (domain_id, seq);

CREATE INDEX audit_rows_default_object_seq_idx ON plexsphere.audit_rows_default USING btree (object, seq DESC);

CREATE INDEX bootstrap_tokens_by_age ON plexsphere.bootstrap_tokens USING btree (domain_id, expires_at);

CREATE INDEX bridge_ingress_rules_by_target ON plexsphere.bridge_ingress_rules USING btree (target_node_id);

CREATE INDEX bridge_relay_assignments_by_peer ON plexsphere.bridge_relay_assignments USING btree (peer_node_id, bridge_resource_id);

CREATE INDEX domains_by_range ON plexsphere.domains USING gist (mesh_cidr inet_ops);

CREATE UNIQUE INDEX event_keys_current ON plexsphere.event_keys USING btree (domain_id) WHERE (transition_expires IS NULL);

CREATE INDEX events_published ON plexsphere.events USING btree (published_at) WHERE (published_at IS NOT NULL);

CREATE INDEX events_unpublished ON plexsphere.events USING btree (seq) WHERE (published_at IS NULL);

CREATE INDEX idempotency_keys_by_object ON plexsphere.idempotency_keys USING btree (object_id);

CREATE INDEX nodes_by_address ON plexsphere.nodes USING btree (domain_id, ((host(mesh_ip))::inet));

CREATE UNIQUE INDEX nodes_by_domain ON plexsphere.nodes USING btree (domain_id, id);

CREATE INDEX nodes_by_key ON plexsphere.nodes USING btree (domain_id, sha256(public_key));

CREATE INDEX outbox_by_domain ON plexsphere.outbox USING btree (domain_id, seq);

CREATE INDEX outbox_roles_waiting ON plexsphere.outbox USING btree (object, seq) WHERE ((drained_at IS NULL) AND (parked_at IS NULL) AND (type <> ALL (ARRAY['peer_added'::text, 'peer_removed'::text])));

CREATE INDEX outbox_waiting ON plexsphere.outbox USING btree (object, seq) WHERE (drained_at IS NULL);

CREATE INDEX outbox_waiting_by_age ON plexsphere.outbox USING btree (seq) WHERE ((drained_at IS NULL) AND (parked_at IS NULL));

CREATE INDEX released_addresses_by_age ON plexsphere.released_addresses USING btree (domain_id, released_at);

ALTER INDEX plexsphere.audit_rows_by_domain ATTACH PARTITION plexsphere.audit_rows_default_domain_id_seq_idx;

ALTER INDEX plexsphere.audit_rows_by_object ATTACH PARTITION plexsphere.audit_rows_default_object_seq_idx;

ALTER INDEX plexsphere.audit_rows_pkey ATTACH PARTITION plexsphere.audit_rows_default_pkey;

CREATE TRIGGER audit_rows_announced BEFORE INSERT ON plexsphere.audit_rows FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.announce_audit_rows();

CREATE TRIGGER bridge_ingress_rules_not_truncated BEFORE TRUNCATE ON plexsphere.bridge_ingress_rules FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_ingress_rules_noted AFTER INSERT OR DELETE OR UPDATE ON plexsphere.bridge_ingress_rules FOR EACH ROW EXECUTE FUNCTION plexsphere.note_row_of_bridge();

CREATE TRIGGER bridge_relay_assignments_deleted AFTER DELETE ON plexsphere.bridge_relay_assignments REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.relay_assignments_came_or_went();

CREATE TRIGGER bridge_relay_assignments_inserted AFTER INSERT ON plexsphere.bridge_relay_assignments REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.relay_assignments_came_or_went();

CREATE TRIGGER bridge_relay_assignments_not_truncated BEFORE TRUNCATE ON plexsphere.bridge_relay_assignments FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_relay_assignments_noted AFTER INSERT OR DELETE OR UPDATE ON plexsphere.bridge_relay_assignments FOR EACH ROW EXECUTE FUNCTION plexsphere.note_row_of_bridge();

CREATE TRIGGER bridge_relay_assignments_peer_noted AFTER INSERT OR DELETE OR UPDATE ON plexsphere.bridge_relay_assignments FOR EACH ROW EXECUTE FUNCTION plexsphere.note_assigned_peer();

CREATE TRIGGER bridge_relay_assignments_updated AFTER UPDATE OF bridge_resource_id, peer_node_id, fallback_endpoint, fallback_endpoint_port ON plexsphere.bridge_relay_assignments FOR EACH ROW WHEN (((((old.bridge_resource_id IS DISTINCT FROM new.bridge_resource_id) OR (old.peer_node_id IS DISTINCT FROM new.peer_node_id)) OR (old.fallback_endpoint IS DISTINCT FROM new.fallback_endpoint)) OR (old.fallback_endpoint_port IS DISTINCT FROM new.fallback_endpoint_port))) EXECUTE FUNCTION plexsphere.relay_assignment_changed();

CREATE TRIGGER bridge_relays_deleted AFTER DELETE ON plexsphere.bridge_relays REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.relays_came_or_went();

CREATE TRIGGER bridge_relays_inserted AFTER INSERT ON plexsphere.bridge_relays REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.relays_came_or_went();

CREATE TRIGGER bridge_relays_not_truncated BEFORE TRUNCATE ON plexsphere.bridge_relays FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_relays_noted AFTER INSERT OR DELETE OR UPDATE ON plexsphere.bridge_relays FOR EACH ROW EXECUTE FUNCTION plexsphere.note_row_of_bridge('with peers');

CREATE TRIGGER bridge_relays_updated AFTER UPDATE OF bridge_resource_id, enabled ON plexsphere.bridge_relays FOR EACH ROW WHEN (((old.bridge_resource_id IS DISTINCT FROM new.bridge_resource_id) OR (old.enabled IS DISTINCT FROM new.enabled))) EXECUTE FUNCTION plexsphere.relay_changed();

CREATE TRIGGER bridge_resources_deleted AFTER DELETE ON plexsphere.bridge_resources REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.bridge_resources_came_or_went();

CREATE TRIGGER bridge_resources_inserted AFTER INSERT ON plexsphere.bridge_resources REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.bridge_resources_came_or_went();

CREATE TRIGGER bridge_resources_moved_noted AFTER UPDATE OF node_id ON plexsphere.bridge_resources FOR EACH ROW EXECUTE FUNCTION plexsphere.note_moved_bridge();

CREATE TRIGGER bridge_resources_not_truncated BEFORE TRUNCATE ON plexsphere.bridge_resources FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_resources_noted AFTER INSERT OR DELETE OR UPDATE ON plexsphere.bridge_resources FOR EACH ROW EXECUTE FUNCTION plexsphere.note_row_of_node('bridge');

CREATE TRIGGER bridge_resources_updated AFTER UPDATE OF id, node_id ON plexsphere.bridge_resources FOR EACH ROW WHEN (((old.id IS DISTINCT FROM new.id) OR (old.node_id IS DISTINCT FROM new.node_id))) EXECUTE FUNCTION plexsphere.bridge_resource_moved();

CREATE TRIGGER bridge_site_to_site_tunnels_not_truncated BEFORE TRUNCATE ON plexsphere.bridge_site_to_site_tunnels FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_site_to_site_tunnels_noted AFTER INSERT OR DELETE OR UPDATE ON plexsphere.bridge_site_to_site_tunnels FOR EACH ROW EXECUTE FUNCTION plexsphere.note_row_of_bridge();

CREATE TRIGGER bridge_user_access_providers_not_truncated BEFORE TRUNCATE ON plexsphere.bridge_user_access_providers FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER bridge_user_access_providers_noted AFTER INSERT OR DELETE OR UPDATE ON plexsphere.bridge_user_access_providers FOR EACH ROW EXECUTE FUNCTION plexsphere.note_row_of_bridge();

CREATE CONSTRAINT TRIGGER changed_blocks_announced AFTER INSERT ON plexsphere.changed_blocks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION plexsphere.announce_changes();

CREATE TRIGGER domains_deleted_grants AFTER DELETE ON plexsphere.domains REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.grants_ended('domain:');

CREATE TRIGGER domains_departed AFTER DELETE ON plexsphere.domains REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.domains_departed();

CREATE TRIGGER node_state_entries_deleted_noted AFTER DELETE ON plexsphere.node_state_entries FOR EACH ROW WHEN ((old.kind <> 'report'::text)) EXECUTE FUNCTION plexsphere.note_row_of_node('state');

CREATE TRIGGER node_state_entries_inserted_noted AFTER INSERT ON plexsphere.node_state_entries FOR EACH ROW WHEN ((new.kind <> 'report'::text)) EXECUTE FUNCTION plexsphere.note_row_of_node('state');

CREATE TRIGGER node_state_entries_not_truncated BEFORE TRUNCATE ON plexsphere.node_state_entries FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER node_state_entries_updated_noted AFTER UPDATE ON plexsphere.node_state_entries FOR EACH ROW WHEN (((old.kind <> 'report'::text) OR (new.kind <> 'report'::text))) EXECUTE FUNCTION plexsphere.note_row_of_node('state');

CREATE TRIGGER nodes_credentials_ended AFTER UPDATE OF secret_key_digests, tokens_not_before ON plexsphere.nodes FOR EACH ROW WHEN (((NOT (new.secret_key_digests @> old.secret_key_digests)) OR (old.tokens_not_before IS DISTINCT FROM new.tokens_not_before))) EXECUTE FUNCTION plexsphere.node_access_reduced();

CREATE TRIGGER nodes_deleted AFTER DELETE ON plexsphere.nodes REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.nodes_came_or_went();

CREATE TRIGGER nodes_deleted_access AFTER DELETE ON plexsphere.nodes FOR EACH ROW EXECUTE FUNCTION plexsphere.node_access_reduced();

CREATE TRIGGER nodes_deleted_grants AFTER DELETE ON plexsphere.nodes REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.grants_ended('node:');

CREATE TRIGGER nodes_deleted_noted AFTER DELETE ON plexsphere.nodes REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.note_nodes();

CREATE TRIGGER nodes_deleted_release AFTER DELETE ON plexsphere.nodes REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.addresses_released();

CREATE TRIGGER nodes_departed AFTER DELETE ON plexsphere.nodes REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.nodes_departed();

CREATE TRIGGER nodes_inserted AFTER INSERT ON plexsphere.nodes REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.nodes_came_or_went();

CREATE TRIGGER nodes_inserted_noted AFTER INSERT ON plexsphere.nodes REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.note_nodes();

CREATE TRIGGER nodes_not_truncated BEFORE TRUNCATE ON plexsphere.nodes FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER nodes_reachability_announced AFTER UPDATE OF reachability_state, changed_at ON plexsphere.nodes FOR EACH ROW WHEN (((old.reachability_state IS DISTINCT FROM new.reachability_state) OR (old.changed_at IS DISTINCT FROM new.changed_at))) EXECUTE FUNCTION plexsphere.announce_reachability();

CREATE TRIGGER nodes_updated AFTER UPDATE OF id, domain_id, mesh_ip, public_key ON plexsphere.nodes FOR EACH ROW WHEN (((((old.id IS DISTINCT FROM new.id) OR (old.domain_id IS DISTINCT FROM new.domain_id)) OR (old.mesh_ip IS DISTINCT FROM new.mesh_ip)) OR (old.public_key IS DISTINCT FROM new.public_key))) EXECUTE FUNCTION plexsphere.node_changed();

CREATE TRIGGER nodes_updated_noted AFTER UPDATE OF id, domain_id, mesh_ip, public_key ON plexsphere.nodes FOR EACH ROW WHEN (((((old.id IS DISTINCT FROM new.id) OR (old.domain_id IS DISTINCT FROM new.domain_id)) OR (old.mesh_ip IS DISTINCT FROM new.mesh_ip)) OR (old.public_key IS DISTINCT FROM new.public_key))) EXECUTE FUNCTION plexsphere.note_node();

CREATE TRIGGER nodes_updated_release AFTER UPDATE OF domain_id, mesh_ip ON plexsphere.nodes FOR EACH ROW WHEN (((old.mesh_ip IS NOT NULL) AND ((old.domain_id IS DISTINCT FROM new.domain_id) OR (host(old.mesh_ip) IS DISTINCT FROM host(new.mesh_ip))))) EXECUTE FUNCTION plexsphere.address_released();

CREATE TRIGGER outbox_tuples_reduced AFTER UPDATE OF drained_at ON plexsphere.outbox FOR EACH ROW WHEN (((old.drained_at IS NULL) AND (new.drained_at IS NOT NULL) AND (new.object ~~ 'node:%'::text) AND jsonb_path_exists(new.tuples, '$[*]."operation"?(@ != "touch")'::jsonpath))) EXECUTE FUNCTION plexsphere.tuples_reduced();

CREATE TRIGGER policy_compiled_ruleset_not_truncated BEFORE TRUNCATE ON plexsphere.policy_compiled_ruleset FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.refuse_truncate();

CREATE TRIGGER policy_compiled_ruleset_noted AFTER INSERT OR DELETE OR UPDATE ON plexsphere.policy_compiled_ruleset FOR EACH ROW EXECUTE FUNCTION plexsphere.note_row_of_node('policy');

ALTER TABLE ONLY plexsphere.bootstrap_tokens
    ADD CONSTRAINT bootstrap_tokens_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES plexsphere.domains(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.bridge_ingress_rules
    ADD CONSTRAINT bridge_ingress_rules_bridge_resource_id_fkey FOREIGN KEY (bridge_resource_id) REFERENCES plexsphere.bridge_resources(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.bridge_ingress_rules
    ADD CONSTRAINT bridge_ingress_rules_target_node_id_fkey FOREIGN KEY (target_node_id) REFERENCES plexsphere.nodes(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.bridge_relay_assignments
    ADD CONSTRAINT bridge_relay_assignments_bridge_resource_id_fkey FOREIGN KEY (bridge_resource_id) REFERENCES plexsphere.bridge_relays(bridge_resource_id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.bridge_relay_assignments
    ADD CONSTRAINT bridge_relay_assignments_peer_node_id_fkey FOREIGN KEY (peer_node_id) REFERENCES plexsphere.nodes(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.bridge_relays
    ADD CONSTRAINT bridge_relays_bridge_resource_id_fkey FOREIGN KEY (bridge_resource_id) REFERENCES plexsphere.bridge_resources(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.bridge_resources
    ADD CONSTRAINT bridge_resources_node_id_fkey FOREIGN KEY (node_id) REFERENCES plexsphere.nodes(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.bridge_site_to_site_tunnels
    ADD CONSTRAINT bridge_site_to_site_tunnels_bridge_resource_id_fkey FOREIGN KEY (bridge_resource_id) REFERENCES plexsphere.bridge_resources(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.bridge_user_access_providers
    ADD CONSTRAINT bridge_user_access_providers_bridge_resource_id_fkey FOREIGN KEY (bridge_resource_id) REFERENCES plexsphere.bridge_resources(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.event_keys
    ADD CONSTRAINT event_keys_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES plexsphere.domains(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.node_bodies
    ADD CONSTRAINT node_bodies_node_id_fkey FOREIGN KEY (node_id) REFERENCES plexsphere.nodes(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.node_state_entries
    ADD CONSTRAINT node_state_entries_node_id_fkey FOREIGN KEY (node_id) REFERENCES plexsphere.nodes(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.nodes
    ADD CONSTRAINT nodes_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES plexsphere.domains(id);

ALTER TABLE ONLY plexsphere.policy_compiled_ruleset
    ADD CONSTRAINT policy_compiled_ruleset_node_id_fkey FOREIGN KEY (node_id) REFERENCES plexsphere.nodes(id) ON DELETE CASCADE;

ALTER TABLE ONLY plexsphere.released_addresses
    ADD CONSTRAINT released_addresses_domain_id_fkey FOREIGN KEY (domain_id) REFERENCES plexsphere.domains(id) ON DELETE CASCADE;
