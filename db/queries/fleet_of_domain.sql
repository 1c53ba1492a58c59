-- db/fleet.py, PostgresFleet.of_domain: what a pull of each Node of a Domain would read, and what the
-- Node was last granted, all from one MVCC moment; columns as in snapshot_for_node.sql, a row a Node,
-- but reachability in three columns, and policies a line each (JSON would look at every digit): the
-- number of a rule set, or policy_id SP revision_id SP rule_payload in hex SP fingerprint in hex. What
-- a number stands for is in the last column of one row.
-- $1 Domain. No row: no such Domain; one with a NULL peer: it has no Nodes.
-- No ORDER BY: rows are sorted where they are composed. The sets are read whole and joined, at the
-- cost of a look-up less a Node and set. Indexes: domains_pkey, nodes_by_domain, the primary keys of
-- policies, entries and node_pulls, and the bridge's as in snapshot_for_node.sql.
PREPARE fleet_of_domain (uuid) AS
WITH members AS MATERIALIZED (
    SELECT n.id
    FROM plexsphere.nodes AS n
    WHERE n.domain_id = $1
),
fallbacks AS MATERIALIZED (
    SELECT DISTINCT ON (a.peer_node_id)
        a.peer_node_id,
        a.fallback_endpoint,
        a.fallback_endpoint_port
    FROM members AS h
    JOIN plexsphere.bridge_resources AS b ON b.node_id = h.id
    JOIN plexsphere.bridge_relays AS r ON r.bridge_resource_id = b.id AND r.enabled
    JOIN plexsphere.bridge_relay_assignments AS a ON a.bridge_resource_id = b.id
    ORDER BY a.peer_node_id, a.bridge_resource_id
),
-- Most Nodes share their rule sets, and the same kilobytes 10,000 times over are most of what would
-- be sent: one of those that agree in all but the payload is numbered, for all that have its payload.
rule_sets AS MATERIALIZED (
    SELECT
        (row_number() OVER ())::text AS number,
        f.*
    FROM (
        SELECT DISTINCT ON (c.policy_id, c.revision_id, c.fingerprint)
            c.node_id,
            c.policy_id,
            c.revision_id,
            c.fingerprint,
            c.rule_payload
        FROM members AS h
        JOIN plexsphere.policy_compiled_ruleset AS c ON c.node_id = h.id
    ) AS f
),
named_rule_sets AS (
    SELECT
        r.node_id,
        string_agg(
            r.number
            || ' ' || r.policy_id::text
            || ' ' || r.revision_id::text
            || ' ' || encode(r.rule_payload, 'hex')
            || ' ' || encode(r.fingerprint, 'hex'),
            E'\n'
        ) AS rows
    FROM rule_sets AS r
    GROUP BY r.node_id
),
policies AS (
    SELECT
        c.node_id,
        string_agg(
            CASE
                WHEN c.rule_payload = r.rule_payload THEN r.number
                ELSE c.policy_id::text
                    || ' ' || c.revision_id::text
                    || ' ' || encode(c.rule_payload, 'hex')
                    || ' ' || encode(c.fingerprint, 'hex')
            END,
            E'\n'
        ) AS rows
    FROM members AS h
    JOIN plexsphere.policy_compiled_ruleset AS c ON c.node_id = h.id
    JOIN rule_sets AS r
        ON r.policy_id = c.policy_id
        AND r.revision_id = c.revision_id
        AND r.fingerprint = c.fingerprint
    GROUP BY c.node_id
),
entries AS (
    SELECT
        e.node_id,
        json_agg(json_build_array(e.kind, e.key, e.value, e.workload_tag))::text AS rows
    FROM members AS h
    JOIN plexsphere.node_state_entries AS e ON e.node_id = h.id
    GROUP BY e.node_id
),
bridges AS (
    SELECT
        b.node_id,
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
        )::text AS rows
    FROM members AS h
    JOIN plexsphere.bridge_resources AS b ON b.node_id = h.id
)
SELECT
    statement_timestamp() AS at,
    p.id::text
    || ' ' || coalesce(host(p.mesh_ip), '-')
    || ' ' || coalesce(encode(p.public_key, 'hex'), '-')
    || coalesce(
        ' ' || f.fallback_endpoint_port || ' ' || to_json(f.fallback_endpoint), '') AS peer,
    p.reachability_state,
    (p.last_heartbeat_at AT TIME ZONE 'UTC')::text AS last_heartbeat_at,
    (p.changed_at AT TIME ZONE 'UTC')::text AS changed_at,
    c.rows AS policies,
    e.rows AS entries,
    b.rows AS bridge,
    p.name,
    p.created_at,
    g.digest,
    g.granted_at,
    g.since,
    s.rows AS rule_sets
FROM plexsphere.domains AS d
LEFT JOIN plexsphere.nodes AS p ON p.domain_id = d.id
LEFT JOIN fallbacks AS f ON f.peer_node_id = p.id
LEFT JOIN policies AS c ON c.node_id = p.id
LEFT JOIN named_rule_sets AS s ON s.node_id = p.id
LEFT JOIN entries AS e ON e.node_id = p.id
LEFT JOIN bridges AS b ON b.node_id = p.id
LEFT JOIN plexsphere.node_pulls AS g ON g.node_id = p.id
WHERE d.id = $1;
