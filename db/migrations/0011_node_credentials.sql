-- Credentials of Nodes: digests of their secret keys, and the moment before which a token that was
-- issued to the Node does not count any more. The row that gate 3 reads carries both.

ALTER TABLE plexsphere.nodes
    ADD COLUMN secret_key_digests bytea[] NOT NULL DEFAULT '{}',
    ADD COLUMN tokens_not_before timestamptz,
    ADD CONSTRAINT nodes_secret_keys CHECK (cardinality(secret_key_digests) <= 2);

DROP FUNCTION plexsphere.register_node(uuid, bytea, text, text, bytea, interval, interval);

-- Outcomes: registered, repeated (the same subject, key and body before), domain_not_found,
-- idempotency_key_conflict, public_key_registered, pool_exhausted. A repeated request gives new
-- credentials and ends those of its lost answer. The full second above the moment, because tokens
-- tell seconds.
CREATE FUNCTION plexsphere.register_node(
    home uuid, wanted_key bytea, wanted_name text, request_key text, request_meaning bytea,
    secret_key_digest bytea, hold_off interval, time_offset interval,
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
