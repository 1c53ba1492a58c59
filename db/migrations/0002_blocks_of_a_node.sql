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
