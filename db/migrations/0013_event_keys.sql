-- Event keys: the Ed25519 key of each Domain, which signs the events that its Nodes are sent.

CREATE TABLE plexsphere.event_keys (
    domain_id uuid NOT NULL REFERENCES plexsphere.domains (id) ON DELETE CASCADE,
    key_id text COLLATE "C" NOT NULL,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    -- AES-GCM under PLEXSPHERE_EVENT_KEK, with the Domain's id as associated data.
    encrypted_private_key bytea NOT NULL,
    -- The key signs the events of its Domain above this seq.
    signs_after bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Until when agents accept it after a rotation; null is the current key.
    transition_expires timestamptz,
    PRIMARY KEY (domain_id, key_id)
);

CREATE UNIQUE INDEX event_keys_current ON plexsphere.event_keys (domain_id)
    WHERE transition_expires IS NULL;

-- The current key of a Domain; the proposed one where it has none. Concurrent callers get the same
-- key, because the Domain's lock comes first. No Domain, no key.
CREATE FUNCTION plexsphere.ensure_event_key(
    home uuid, proposed_id text, proposed_public_key bytea, proposed_private_key bytea,
    OUT key_id text, OUT public_key bytea
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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

DROP FUNCTION plexsphere.create_domain(
    text, text, cidr, text, text, interval, interval, interval, text, bytea, interval);

-- Outcomes: created, found (the same request made it before), idempotency_key_conflict,
-- domain_slug_conflict, mesh_cidr_overlap. One at a time: there is no row yet to lock. The id and the
-- event key are NULL where the service has no PLEXSPHERE_EVENT_KEK.
CREATE FUNCTION plexsphere.create_domain(
    wanted_name text, wanted_slug text, wanted_range cidr, wanted_description text,
    wanted_region text, wanted_interval interval, wanted_stale interval,
    wanted_unreachable interval, request_key text, request_meaning bytea, time_offset interval,
    wanted_id uuid, event_key_id text, event_public_key bytea, event_private_key bytea,
    OUT outcome text, OUT domain uuid
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
