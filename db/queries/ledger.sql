-- The snapshot of one Node, and the expressions that other statements about snapshots share.

-- name: snapshots_for_nodes
-- prepare: node_ids uuid[]
-- db/coalesced_reads.py, CoalescedReads: four row sets of each Node, from one MVCC moment. It calls no
-- VOLATILE function and takes no row lock: either would mix several moments. It has no ORDER BY: the
-- composer sorts. A row for each Node that is there. Its columns are the id, the peers_revision of its
-- Domain and node_columns. Indexes: nodes_pkey, domains_pkey, and those of node_columns.
SELECT
    n.id::text,
    d.peers_revision::text,
    -- include: node_columns
FROM unnest(%(node_ids)s) AS w (id)
JOIN plexsphere.nodes AS n ON n.id = w.id
JOIN plexsphere.domains AS d ON d.id = n.domain_id;

-- name: snapshot_for_node
-- prepare: node_id uuid, cached_revision uuid
-- db/ledger.py, PostgresLedger: all five row sets of one Node, from one MVCC moment, as
-- snapshots_for_nodes. cached_revision is the peers_revision that the caller already has, or NULL. One
-- row, or no row when there is no such Node. Its columns:
--   peers_revision  text
--   peers           NULL when cached_revision is current, else peer_lines
--   node_columns
-- Indexes: nodes_pkey and domains_pkey; nodes_by_domain for the peers; for the relays
-- bridge_resources_node_id_key, bridge_relays_pkey and bridge_relay_assignments_pkey; those of
-- node_columns.
SELECT
    d.peers_revision::text,
    CASE
        WHEN d.peers_revision IS DISTINCT FROM %(cached_revision)s THEN (
            -- include: peer_lines
        )
    END AS peers,
    -- include: node_columns
FROM plexsphere.nodes AS n
JOIN plexsphere.domains AS d ON d.id = n.domain_id
WHERE n.id = %(node_id)s;

-- name: domain_peers
-- prepare: domain_id uuid, cached_revision uuid
-- db/ledger.py, PostgresLedger.peers: the peers of a Domain for whoever is no Node of it yet. Columns
-- as in snapshot_for_node.
-- Indexes: domains_pkey, and those of the peers in snapshot_for_node.
SELECT
    d.peers_revision::text,
    CASE
        WHEN d.peers_revision IS DISTINCT FROM %(cached_revision)s THEN (
            -- include: peer_lines
        )
    END AS peers
FROM plexsphere.domains AS d
WHERE d.id = %(domain_id)s;

-- fragment: peer_lines
-- The SHA-256 in hex of what follows it, and every Node of a Domain d, a line for each (peer_line).
WITH fallbacks AS MATERIALIZED (
    -- include: relay_fallbacks
    WHERE h.domain_id = d.id
    -- include: lowest_resource_first
),
peer_lines AS MATERIALIZED (
    SELECT
        coalesce(
            string_agg(
                -- include: peer_line
                ,
                E'\n'
            ),
            ''
        ) AS text
    FROM plexsphere.nodes AS p
    LEFT JOIN fallbacks AS f ON f.peer_node_id = p.id
    WHERE p.domain_id = d.id
)
SELECT encode(sha256(convert_to(l.text, 'UTF8')), 'hex') || E'\n' || l.text
FROM peer_lines AS l

-- fragment: node_columns
-- Of a Node n in a Domain d:
--   reachability    [state, last_heartbeat_at, changed_at]
--   policies        [[policy_id, revision_id, rule_payload in hex, fingerprint in hex], ...]
--   entries         [[kind, key, value, workload_tag], ...]
--   bridge          NULL without a bridge Resource, else [relay, assignments, providers, rules, tunnels]
--   the Domain's id, the ZedToken, the digests of secret keys, since when tokens are valid
--   position        the server as ledger_server found it, whether it is a standby now, and the snapshot
--                   of this statement; NULL on a connection without ledger_server
-- Times are UTC in every time zone of the session, because the environment's PGTZ overrides what the
-- pool sets, and because the first and the last day of the calendar have no text in another zone.
-- Indexes: the primary keys of policies and entries; the bridge_resource_id keys of the aggregates.
-- include: reachability_as_json
AS reachability,
(
    SELECT
        json_agg(json_build_array(
            c.policy_id,
            c.revision_id,
            encode(c.rule_payload, 'hex'),
            encode(c.fingerprint, 'hex')
        ))::text
    FROM plexsphere.policy_compiled_ruleset AS c
    WHERE c.node_id = n.id
) AS policies,
(
    SELECT
        -- include: entries_as_json
    FROM plexsphere.node_state_entries AS e
    WHERE e.node_id = n.id
) AS entries,
(
    SELECT
        -- include: bridge_as_json
    FROM plexsphere.bridge_resources AS b
    WHERE b.node_id = n.id
) AS bridge,
d.id::text AS domain_id,
n.authz_token,
n.secret_key_digests,
n.tokens_not_before,
current_setting('plexsphere.server', true)
    || ' ' || current_setting('in_hot_standby')
    || ' ' || pg_current_snapshot()::text AS position

-- fragment: relay_fallbacks
-- The relay that serves each peer of a Domain when it cannot be reached directly: enabled, on a Node
-- of the peer's own Domain, the lowest Resource id of these.
SELECT DISTINCT ON (a.peer_node_id)
    a.peer_node_id,
    a.fallback_endpoint,
    a.fallback_endpoint_port
FROM plexsphere.nodes AS h
JOIN plexsphere.bridge_resources AS b ON b.node_id = h.id
JOIN plexsphere.bridge_relays AS r ON r.bridge_resource_id = b.id AND r.enabled
JOIN plexsphere.bridge_relay_assignments AS a ON a.bridge_resource_id = b.id

-- fragment: lowest_resource_first
-- Of several relays that serve one peer.
ORDER BY a.peer_node_id, a.bridge_resource_id

-- fragment: peer_line
-- id SP address|- SP key in hex|- [SP relay port SP relay host as JSON], of a Node p and its fallback f.
p.id::text
|| ' ' || coalesce(host(p.mesh_ip), '-')
|| ' ' || coalesce(encode(p.public_key, 'hex'), '-')
|| coalesce(' ' || f.fallback_endpoint_port || ' ' || to_json(f.fallback_endpoint), '')

-- fragment: reachability_as_json
-- [state, last_heartbeat_at, changed_at] of a Node n.
json_build_array(
    n.reachability_state,
    n.last_heartbeat_at AT TIME ZONE 'UTC',
    n.changed_at AT TIME ZONE 'UTC'
)::text

-- fragment: entries_as_json
-- [[kind, key, value, workload_tag], ...] of entries e.
json_agg(json_build_array(e.kind, e.key, e.value, e.workload_tag))::text

-- fragment: bridge_as_json
-- [relay, assignments, providers, rules, tunnels] of a bridge Resource b.
json_build_array(
    (
        SELECT json_build_array(r.enabled, r.listen_port)
        FROM plexsphere.bridge_relays AS r
        WHERE r.bridge_resource_id = b.id
    ),
    (
        SELECT
            json_agg(json_build_array(
                a.peer_node_id,
                a.fallback_endpoint,
                a.fallback_endpoint_port
            ))
        FROM plexsphere.bridge_relay_assignments AS a
        WHERE a.bridge_resource_id = b.id
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
            ))
        FROM plexsphere.bridge_user_access_providers AS u
        WHERE u.bridge_resource_id = b.id
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
            ))
        FROM plexsphere.bridge_ingress_rules AS i
        WHERE i.bridge_resource_id = b.id
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
            ))
        FROM plexsphere.bridge_site_to_site_tunnels AS t
        WHERE t.bridge_resource_id = b.id
    )
)::text
