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
