-- The ledger as the migrations leave it: what to read instead of replaying them in one's head.
-- Proven equal to their replay by tests/integration/test_migrations.py; changed together with them.

CREATE SCHEMA plexsphere;

CREATE TABLE plexsphere.schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    -- SHA-256 of the file, in hex: an applied file never changes.
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Domains, their Nodes, and the operator's view of both (design.md 6).

CREATE TABLE plexsphere.domains (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL DEFAULT '',
    slug text UNIQUE,
    mesh_cidr cidr,
    -- Says which moment of the Domain's peers a process holds (D7). Random, because a counter
    -- repeats itself after a failover or a restore.
    peers_revision uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Per-Domain reachability policy; all unset means the service's own numbers.
    heartbeat_interval interval,
    stale_after interval,
    unreachable_after interval,
    created_at timestamptz NOT NULL DEFAULT now(),
    description text,
    region text,
    -- ZedToken of the last relationship write about the Domain or the platform (design.md 4).
    authz_token text,
    -- Every address of the Domain below it is in use or in released_addresses; null is "none looked at".
    next_address inet,
    CONSTRAINT domains_reachability_whole
        CHECK (num_nulls(heartbeat_interval, stale_after, unreachable_after) IN (0, 3))
)
-- Every change of a peer updates the row: room for HOT updates.
WITH (fillfactor = 50);

CREATE TABLE plexsphere.nodes (
    id uuid PRIMARY KEY,
    domain_id uuid NOT NULL REFERENCES plexsphere.domains (id),
    name text NOT NULL DEFAULT '',
    -- A Node row can exist before it has an address or a key, and nothing keeps a bad one out:
    -- the per-peer invariants are the composer's (D12).
    mesh_ip inet,
    public_key bytea,
    reachability_state text NOT NULL DEFAULT '',
    last_heartbeat_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now(),
    -- ZedToken of the Node's last relationship write (design.md 4).
    authz_token text,
    created_at timestamptz NOT NULL DEFAULT now()
)
-- Heartbeats touch no indexed column: with room in the page they stay HOT.
WITH (fillfactor = 80);

CREATE UNIQUE INDEX nodes_by_domain ON plexsphere.nodes (domain_id, id);

-- Neither touches a column that heartbeats write, so those stay HOT. Not unique: nothing keeps a
-- corrupt row out of nodes (D12), registration looks under the Domain's lock. A digest, because a
-- corrupt key may be longer than an index takes.
CREATE INDEX nodes_by_key ON plexsphere.nodes (domain_id, sha256(public_key));
CREATE INDEX nodes_by_address ON plexsphere.nodes (domain_id, (host(mesh_ip)::inet));

-- What the runbook's query reads. The address is shown as the pull shows it, without a netmask.
CREATE VIEW plexsphere.tenancy_nodes AS
SELECT
    n.id,
    n.id AS node_id,
    n.domain_id,
    n.name,
    host(n.mesh_ip)::inet AS mesh_ip,
    n.public_key,
    n.reachability_state,
    n.last_heartbeat_at,
    n.changed_at,
    n.created_at
FROM plexsphere.nodes AS n;

-- The row sets behind the policy, bridge, state and reports blocks. All of them go with their Node.

CREATE TABLE plexsphere.policy_compiled_ruleset (
    node_id uuid NOT NULL REFERENCES plexsphere.nodes (id) ON DELETE CASCADE,
    policy_id uuid NOT NULL,
    revision_id uuid NOT NULL,
    -- Newline-framed canonical JSON rules, and the SHA-256 of exactly these bytes (D11).
    rule_payload bytea NOT NULL,
    fingerprint bytea NOT NULL,
    compiled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node_id, policy_id)
);

CREATE TABLE plexsphere.node_state_entries (
    node_id uuid NOT NULL REFERENCES plexsphere.nodes (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('metadata', 'data', 'report')),
    key text COLLATE "C" NOT NULL CHECK (char_length(key) BETWEEN 1 AND 128),
    value text NOT NULL,
    workload_tag text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node_id, kind, key)
);

CREATE TABLE plexsphere.bridge_resources (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    -- A Node hosts at most one bridge Resource: merging several is undefined (contract.md 2.6).
    node_id uuid NOT NULL UNIQUE REFERENCES plexsphere.nodes (id) ON DELETE CASCADE,
    name text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE plexsphere.bridge_relays (
    bridge_resource_id uuid PRIMARY KEY REFERENCES plexsphere.bridge_resources (id) ON DELETE CASCADE,
    enabled boolean NOT NULL DEFAULT true,
    listen_port integer NOT NULL CHECK (listen_port BETWEEN 1 AND 65535),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE plexsphere.bridge_relay_assignments (
    bridge_resource_id uuid NOT NULL REFERENCES plexsphere.bridge_relays (bridge_resource_id) ON DELETE CASCADE,
    peer_node_id uuid NOT NULL REFERENCES plexsphere.nodes (id) ON DELETE CASCADE,
    -- The host alone; an IPv6 address without brackets. Every peer of the Domain is shown it, so a
    -- host that the contract forbids would withhold all their pulls: none gets in.
    fallback_endpoint text NOT NULL CHECK (
        char_length(fallback_endpoint) <= 253
        AND fallback_endpoint
            ~ '^([0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$'
    ),
    fallback_endpoint_port integer NOT NULL CHECK (fallback_endpoint_port BETWEEN 1 AND 65535),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bridge_resource_id, peer_node_id)
);

CREATE INDEX bridge_relay_assignments_by_peer
    ON plexsphere.bridge_relay_assignments (peer_node_id, bridge_resource_id);

CREATE TABLE plexsphere.bridge_user_access_providers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bridge_resource_id uuid NOT NULL REFERENCES plexsphere.bridge_resources (id) ON DELETE CASCADE,
    slug text COLLATE "C" NOT NULL CHECK (char_length(slug) BETWEEN 1 AND 63),
    kind text NOT NULL CHECK (kind IN ('netbird', 'tailscale', 'wireguard')),
    interface_name text NOT NULL CHECK (interface_name <> ''),
    listen_port integer NOT NULL CHECK (listen_port BETWEEN 1 AND 65535),
    max_peers integer NOT NULL CHECK (max_peers >= 1),
    -- A reference, never a secret: the pattern is the wire's.
    auth_secret_ref text NOT NULL CHECK (auth_secret_ref ~ '^secret:[^/]+/[^/]+/[^:]+(:[^:]+)?$'),
    routing_policy jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(routing_policy) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (bridge_resource_id, slug)
);

CREATE TABLE plexsphere.bridge_ingress_rules (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bridge_resource_id uuid NOT NULL REFERENCES plexsphere.bridge_resources (id) ON DELETE CASCADE,
    slug text COLLATE "C" NOT NULL CHECK (char_length(slug) BETWEEN 1 AND 63),
    sni_host text NOT NULL CHECK (char_length(sni_host) BETWEEN 1 AND 253),
    target_node_id uuid NOT NULL REFERENCES plexsphere.nodes (id) ON DELETE CASCADE,
    target_port integer NOT NULL CHECK (target_port BETWEEN 1 AND 65535),
    acme_account_ref text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (bridge_resource_id, slug)
);

CREATE INDEX bridge_ingress_rules_by_target ON plexsphere.bridge_ingress_rules (target_node_id);

CREATE TABLE plexsphere.bridge_site_to_site_tunnels (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bridge_resource_id uuid NOT NULL REFERENCES plexsphere.bridge_resources (id) ON DELETE CASCADE,
    slug text COLLATE "C" NOT NULL CHECK (char_length(slug) BETWEEN 1 AND 63),
    kind text NOT NULL CHECK (kind IN ('wireguard', 'ipsec', 'openvpn')),
    remote_host text NOT NULL CHECK (char_length(remote_host) BETWEEN 1 AND 253),
    remote_port integer NOT NULL CHECK (remote_port BETWEEN 1 AND 65535),
    auth_secret_ref text NOT NULL CHECK (auth_secret_ref ~ '^secret:[^/]+/[^/]+/[^:]+(:[^:]+)?$'),
    allowed_subnets cidr[] NOT NULL DEFAULT '{}' CHECK (array_position(allowed_subnets, NULL) IS NULL),
    routing_policy text NOT NULL DEFAULT 'bidirectional'
        CHECK (routing_policy IN ('bidirectional', 'ingress_only', 'egress_only')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (bridge_resource_id, slug)
);

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

-- One row per outcome of the gate table (design.md 4), in one partition a UTC day, so that what is
-- old enough goes a day at a time. Rows know their Domain; one row a Node says what it was last granted.

-- An identity column on a partitioned table needs Postgres 17.
CREATE SEQUENCE plexsphere.audit_rows_seq;

CREATE TABLE plexsphere.audit_rows (
    -- Grows in commit order: writers take turns (db/queries/audit_insert.sql), so a reader that
    -- remembers the last one it saw misses nothing.
    seq bigint NOT NULL DEFAULT nextval('plexsphere.audit_rows_seq'),
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Of the Node or the Domain that the object names; NULL where it names neither.
    domain_id uuid,
    relation text NOT NULL,
    outcome text NOT NULL,
    subject text NOT NULL,
    object text NOT NULL,
    correlation_id text NOT NULL DEFAULT '',
    -- Desired-state digest that was served, on granted only.
    digest text,
    -- A unique key of a partitioned table holds the column it is partitioned by.
    PRIMARY KEY (seq, occurred_at)
)
PARTITION BY RANGE (occurred_at);

ALTER SEQUENCE plexsphere.audit_rows_seq OWNED BY plexsphere.audit_rows.seq;

CREATE INDEX audit_rows_by_object ON plexsphere.audit_rows (object, seq DESC);
CREATE INDEX audit_rows_by_domain ON plexsphere.audit_rows (domain_id, seq);

-- Takes what no day was made for: no insert fails for want of a partition.
CREATE TABLE plexsphere.audit_rows_default PARTITION OF plexsphere.audit_rows DEFAULT;

-- Makes the partition of one UTC day; rows of that day move there from the default partition. Both
-- are locked for no longer than lock_timeout says. The caller has plexsphere.audit_days_turn().
CREATE FUNCTION plexsphere.make_audit_day(day date)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
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
$$;

-- Whoever makes or drops a day holds this until the transaction ends: two of them would wait for
-- each other's locks on the parent and on the default partition. "auditday" in ASCII.
CREATE FUNCTION plexsphere.audit_days_turn()
RETURNS boolean
LANGUAGE sql
AS $$
    SELECT pg_catalog.pg_try_advisory_xact_lock(x'6175646974646179'::bigint);
$$;

-- Makes the partitions of several days from the first on; whether all of them are there now. False
-- when somebody else is at it, or reads what would have to be locked: ask again later.
CREATE FUNCTION plexsphere.make_audit_days(first_day date, days integer)
RETURNS boolean
LANGUAGE plpgsql
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
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

-- Drops the partition of one day; false when it could not be locked, and then nothing was changed.
-- Readers and writers queue behind the attempt: lock_timeout is what it may cost them.
CREATE FUNCTION plexsphere.drop_audit_day(day date)
RETURNS boolean
LANGUAGE plpgsql
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
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

-- The Domain of a Node or a Domain that is gone, for the rows that still come about it.
CREATE TABLE plexsphere.departed (
    object text PRIMARY KEY,
    domain_id uuid NOT NULL,
    departed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION plexsphere.nodes_departed() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE FUNCTION plexsphere.domains_departed() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER nodes_departed
AFTER DELETE ON plexsphere.nodes
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.nodes_departed();

CREATE TRIGGER domains_departed
AFTER DELETE ON plexsphere.domains
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.domains_departed();

-- The last batch of each audit writer: one that is sent again after an ambiguous commit is known by
-- its number. A row a process; those of processes that ended go when days are made.
CREATE TABLE plexsphere.audit_writers (
    writer uuid PRIMARY KEY,
    batch bigint NOT NULL,
    written_at timestamptz NOT NULL
)
WITH (fillfactor = 50);

-- What a Node was last granted. No key to nodes: that would lock their rows; what is left behind by
-- a Node that is gone goes with the next prune.
CREATE TABLE plexsphere.node_pulls (
    node_id uuid PRIMARY KEY,
    digest text NOT NULL,
    granted_at timestamptz NOT NULL,
    -- When this digest was first granted without another in between.
    since timestamptz NOT NULL
)
-- One update a pull, of no indexed column: with room in the page they stay HOT.
WITH (fillfactor = 50);

-- What the writers of the ledger need beside the rows themselves: an address pool, a memory of
-- requests, the roles that were granted, and the outbox from which SpiceDB follows the ledger.

-- Addresses that had a Node: each is held off for a while, so that no peer's stale tunnel reaches
-- the wrong Node. A trigger writes it, so that no way of deleting a Node leaks its address.
CREATE TABLE plexsphere.released_addresses (
    domain_id uuid NOT NULL REFERENCES plexsphere.domains (id) ON DELETE CASCADE,
    mesh_ip inet NOT NULL,
    released_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain_id, mesh_ip)
);

CREATE FUNCTION plexsphere.addresses_released() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE FUNCTION plexsphere.address_released() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO plexsphere.released_addresses AS r (domain_id, mesh_ip)
    VALUES (OLD.domain_id, host(OLD.mesh_ip)::inet)
    ON CONFLICT (domain_id, mesh_ip) DO UPDATE
    SET released_at = EXCLUDED.released_at;
    RETURN NULL;
END;
$$;

CREATE TRIGGER nodes_deleted_release
AFTER DELETE ON plexsphere.nodes
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.addresses_released();

CREATE TRIGGER nodes_updated_release
AFTER UPDATE OF domain_id, mesh_ip ON plexsphere.nodes
FOR EACH ROW
WHEN (OLD.mesh_ip IS NOT NULL
    AND (OLD.domain_id, host(OLD.mesh_ip)) IS DISTINCT FROM (NEW.domain_id, host(NEW.mesh_ip)))
EXECUTE FUNCTION plexsphere.address_released();

-- What a request with an Idempotency-Key made: the same key with the same body finds it again.
CREATE TABLE plexsphere.idempotency_keys (
    -- The Domain a Node was registered in, or the nil UUID for Domains themselves.
    scope uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- SHA-256 of the request's meaning, so that another body is told from the same one.
    request_hash bytea NOT NULL,
    object_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scope, key)
);

-- A key lives as long as what it made, so it is looked for by that when that goes.
CREATE INDEX idempotency_keys_by_object ON plexsphere.idempotency_keys (object_id);

-- The roles an operator gave, spelled as SpiceDB spells them: `user:ann`, `manager`,
-- `platform:plexsphere`. The ledger is what SpiceDB is compared with, and rebuilt from.
CREATE TABLE plexsphere.role_grants (
    object text COLLATE "C" NOT NULL,
    relation text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (object, relation, subject)
);

-- What happened, written in the transaction in which it happened. Two readers: the relay, which
-- brings `tuples` to SpiceDB, in order per object, and the event stream to come, which reads type,
-- domain_id, payload and seq. A writer holds its Domain's row, so seq grows in commit order within
-- a Domain.
CREATE TABLE plexsphere.outbox (
    seq bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    -- Null for what is about the platform. No foreign key: an event outlives its Domain.
    domain_id uuid,
    type text NOT NULL,
    -- `node:<id>`, `domain:<id>` or `platform:plexsphere`.
    object text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    -- [{"operation": "touch" | "delete", "resource": .., "relation": .., "subject": ..}, or
    --  {"operation": "purge", "resource": ..} for every tuple of a resource, in this order]
    tuples jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now(),
    -- When SpiceDB had taken the tuples; null is "not yet". A row without tuples has nothing to wait
    -- for, so it is written as drained.
    drained_at timestamptz,
    -- Set when SpiceDB called the row's tuples invalid, which no repetition mends: it waits no longer
    -- and blocks nobody. Null is "never".
    parked_at timestamptz,
    parked_because text,
    CONSTRAINT outbox_tuples_are_a_list CHECK (jsonb_typeof(tuples) = 'array'),
    CONSTRAINT outbox_waits_with_tuples CHECK (drained_at IS NOT NULL OR tuples <> '[]')
);

CREATE INDEX outbox_waiting ON plexsphere.outbox (object, seq)
    WHERE drained_at IS NULL;
CREATE INDEX outbox_by_domain ON plexsphere.outbox (domain_id, seq);

-- When the reachability evaluator last looked, and since when it has done so without a pause: one
-- row, which the elected evaluator writes with every sweep.

CREATE TABLE plexsphere.evaluator_watch (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    -- Silence counts from here on, in the time that tests may move; -infinity: no pause is known.
    watching_since timestamptz NOT NULL,
    -- By Postgres' own clock, which nobody moves: what passes here while nobody sweeps is a pause.
    swept_at timestamptz NOT NULL
);

-- The relays take the oldest rows of all objects first, and tell how long the oldest one waits.
CREATE INDEX outbox_waiting_by_age ON plexsphere.outbox (seq)
    WHERE drained_at IS NULL AND parked_at IS NULL;

-- Tuples that the rows of the ledger imply and that an operator took back all the same: a Node that
-- is kept, and may not act.
CREATE TABLE plexsphere.withheld_tuples (
    object text COLLATE "C" NOT NULL,
    relation text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (object, relation, subject)
);

-- A trigger, so that no way of deleting a Node or a Domain leaves a role on it.
CREATE FUNCTION plexsphere.grants_ended() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER nodes_deleted_grants
AFTER DELETE ON plexsphere.nodes
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.grants_ended('node:');

CREATE TRIGGER domains_deleted_grants
AFTER DELETE ON plexsphere.domains
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.grants_ended('domain:');

-- Every relationship that SpiceDB should hold by what the ledger says.
CREATE VIEW plexsphere.implied_tuples AS
SELECT
    'node:' || n.id AS object,
    t.relation,
    t.subject
FROM plexsphere.nodes AS n
CROSS JOIN LATERAL (
    VALUES ('agent', 'node:' || n.id), ('domain', 'domain:' || n.domain_id)
) AS t (relation, subject)
WHERE NOT EXISTS (
    SELECT FROM plexsphere.withheld_tuples AS w
    WHERE w.object = 'node:' || n.id
        AND w.relation = t.relation
        AND w.subject = t.subject
)
UNION ALL
SELECT
    'domain:' || d.id,
    'platform',
    'platform:plexsphere'
FROM plexsphere.domains AS d
UNION ALL
SELECT
    g.object,
    g.relation,
    g.subject
FROM plexsphere.role_grants AS g;

-- The writers of Domains and Nodes: each is one function, so that one round trip is one transaction
-- and a service that dies in the middle leaves nothing half done.
--
-- Every one of them takes the Domain's row first (D7). Time is the statement's, `ahead` is how far a
-- test has moved it. What the caller branches on comes back as a word, `outcome`.

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

-- The last bodies that each Node was served, for `fleet history`: only where PLEXSPHERE_HISTORY says
-- so. They go with their Node: what a Node that is gone should have run is nobody's any more.

CREATE TABLE plexsphere.node_bodies (
    node_id uuid NOT NULL REFERENCES plexsphere.nodes (id) ON DELETE CASCADE,
    digest text COLLATE "C" NOT NULL,
    -- When this digest was first granted after another one, the last time that happened.
    served_at timestamptz NOT NULL,
    -- Of the body as it was sent.
    bytes integer NOT NULL,
    -- zlib; null where it was too large to be kept.
    body bytea,
    PRIMARY KEY (node_id, digest)
);

-- It is compressed when it comes.
ALTER TABLE plexsphere.node_bodies ALTER COLUMN body SET STORAGE EXTERNAL;
