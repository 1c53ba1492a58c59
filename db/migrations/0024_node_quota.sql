-- A Domain has a limited number of Nodes. A process of the former release calls the functions without
-- node_quota, and then there is no limit.

DROP FUNCTION plexsphere.register_node(
    uuid, bytea, text, text, bytea, bytea, interval, interval
);
DROP FUNCTION plexsphere.enrol_node(
    uuid, uuid, text, bytea, bytea, bytea, interval, interval
);

-- As in migration 0011, and one outcome more: node_quota_exceeded.
CREATE FUNCTION plexsphere.register_node(
    home uuid, wanted_key bytea, wanted_name text, request_key text, request_meaning bytea,
    secret_key_digest bytea, hold_off interval, time_offset interval,
    node_quota integer DEFAULT NULL,
    OUT outcome text, OUT node uuid, OUT address inet, OUT mesh_range cidr,
    OUT tokens_not_before timestamptz
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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

-- As in migration 0020, with the outcome of register_node.
CREATE FUNCTION plexsphere.enrol_node(
    token uuid, wanted_project uuid, wanted_handle text, wanted_nonce bytea, wanted_key bytea,
    secret_key_digest bytea, hold_off interval, time_offset interval,
    node_quota integer DEFAULT NULL,
    OUT outcome text, OUT node uuid, OUT address inet, OUT mesh_range cidr
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
