-- Whole Domains, for the fleet commands.

-- name: fleet_of_domain
-- prepare: domain_id uuid
-- db/fleet.py, PostgresFleet.of_domain: what a pull of each Node of a Domain would read, and what was
-- last granted to the Node, all from one MVCC moment. One row for each Node; no row when the Domain
-- does not exist; one row with a NULL peer when it has no Nodes. The columns are as in
-- snapshot_for_node, but reachability is three columns, and policies are text lines, because JSON
-- would examine each digit: the number of a rule set, or rule_set_line. The last column of one row
-- has the rule set of a number. It has no ORDER BY: the composer sorts. Each table is read whole and
-- joined, which saves a look-up for each Node.
-- Indexes: domains_pkey; nodes_by_domain; the primary keys of policies, entries and node_pulls; those
-- of the bridge as in snapshot_for_node.
WITH members AS MATERIALIZED (
    SELECT n.id
    FROM plexsphere.nodes AS n
    WHERE n.domain_id = %(domain_id)s
),
fallbacks AS MATERIALIZED (
    -- include: relay_fallbacks
    WHERE h.domain_id = %(domain_id)s
    -- include: lowest_resource_first
),
-- Most Nodes have the same rule sets, and their text would be most of the answer. So each rule set
-- is sent once and numbered. Rule sets that differ in the payload alone share the number of one of
-- them, and the others are sent as they are.
rule_sets AS MATERIALIZED (
    SELECT
        (row_number() OVER ())::text AS number,
        c.*
    FROM (
        SELECT DISTINCT ON (c.policy_id, c.revision_id, c.fingerprint)
            c.node_id,
            c.policy_id,
            c.revision_id,
            c.fingerprint,
            c.rule_payload
        FROM members AS m
        JOIN plexsphere.policy_compiled_ruleset AS c ON c.node_id = m.id
    ) AS c
),
numbered_rule_sets AS (
    SELECT
        c.node_id,
        string_agg(
            c.number || ' ' ||
            -- include: rule_set_line
            ,
            E'\n'
        ) AS rows
    FROM rule_sets AS c
    GROUP BY c.node_id
),
policies AS (
    SELECT
        c.node_id,
        string_agg(
            CASE
                WHEN c.rule_payload = r.rule_payload THEN r.number
                ELSE
                    -- include: rule_set_line
            END,
            E'\n'
        ) AS rows
    FROM members AS m
    JOIN plexsphere.policy_compiled_ruleset AS c ON c.node_id = m.id
    JOIN rule_sets AS r
        ON r.policy_id = c.policy_id
        AND r.revision_id = c.revision_id
        AND r.fingerprint = c.fingerprint
    GROUP BY c.node_id
),
entries AS (
    SELECT
        e.node_id,
        -- include: entries_as_json
        AS rows
    FROM members AS m
    JOIN plexsphere.node_state_entries AS e ON e.node_id = m.id
    GROUP BY e.node_id
),
bridges AS (
    SELECT
        b.node_id,
        -- include: bridge_as_json
        AS rows
    FROM members AS m
    JOIN plexsphere.bridge_resources AS b ON b.node_id = m.id
)
SELECT
    statement_timestamp() AS at,
    -- include: peer_line
    AS peer,
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
LEFT JOIN numbered_rule_sets AS s ON s.node_id = p.id
LEFT JOIN entries AS e ON e.node_id = p.id
LEFT JOIN bridges AS b ON b.node_id = p.id
LEFT JOIN plexsphere.node_pulls AS g ON g.node_id = p.id
WHERE d.id = %(domain_id)s;

-- fragment: rule_set_line
-- policy_id SP revision_id SP rule_payload in hex SP fingerprint in hex, of a compiled rule set c.
c.policy_id::text
|| ' ' || c.revision_id::text
|| ' ' || encode(c.rule_payload, 'hex')
|| ' ' || encode(c.fingerprint, 'hex')

-- name: fleet_members
-- prepare: slugs text[], ranges cidr[]
-- db/fleet.py, fleet_members: the Domains that a simulation made, by their slugs and their address
-- ranges, with their Nodes. One row for each Node, and one row for a Domain without Nodes.
-- Indexes: domains_slug_key, nodes_by_domain.
SELECT
    d.id::text AS domain_id,
    n.id::text AS node_id,
    n.name,
    n.public_key
FROM plexsphere.domains AS d
LEFT JOIN plexsphere.nodes AS n ON n.domain_id = d.id
WHERE d.slug = ANY (%(slugs)s)
    AND d.mesh_cidr = ANY (%(ranges)s)
ORDER BY d.id, n.id;

-- name: expected_nodes
-- prepare: domain_id uuid
-- db/fleet.py, expected_nodes: what every Node of a Domain must be shown as, for the proof of a
-- simulation. It shares nothing with the statement of the pull, nor with the composer, so that it
-- shows their mistakes. One row for each Node, by id.
-- Indexes: nodes_by_domain; the primary keys of policies and entries; the foreign keys of the bridge.
SELECT
    n.id::text AS node_id,
    host(n.mesh_ip) AS mesh_ip,
    encode(n.public_key, 'base64') AS public_key,
    (
        SELECT
            CASE WHEN a.fallback_endpoint LIKE '%%:%%'
                THEN '[' || a.fallback_endpoint || ']'
                ELSE a.fallback_endpoint
            END || ':' || a.fallback_endpoint_port
        FROM plexsphere.bridge_relay_assignments AS a
        JOIN plexsphere.bridge_resources AS b ON b.id = a.bridge_resource_id
        JOIN plexsphere.bridge_relays AS r ON r.bridge_resource_id = b.id
        JOIN plexsphere.nodes AS h ON h.id = b.node_id
        WHERE a.peer_node_id = n.id
            AND r.enabled
            AND h.domain_id = n.domain_id
        ORDER BY b.id
        LIMIT 1
    ) AS fallback_endpoint,
    (
        SELECT
            json_build_object(
                'revision_id', (array_agg(c.revision_id ORDER BY c.policy_id))[1],
                'fingerprint',
                encode(sha256(string_agg(c.rule_payload, ''::bytea ORDER BY c.policy_id)), 'base64'),
                'rules',
                ('[' || replace(rtrim(convert_from(
                    string_agg(c.rule_payload, ''::bytea ORDER BY c.policy_id), 'UTF8'
                ), E'\n'), E'\n', ',') || ']')::json
            )::text
        FROM plexsphere.policy_compiled_ruleset AS c
        WHERE c.node_id = n.id
        HAVING count(*) > 0
    ) AS policy,
    EXISTS (
        SELECT FROM plexsphere.bridge_resources AS b WHERE b.node_id = n.id
    ) AS has_bridge,
    (
        SELECT
            json_object_agg(k.bucket, (
                SELECT
                    coalesce(json_agg(json_strip_nulls(json_build_object(
                        'key', e.key,
                        'value', e.value,
                        'workload_tag', nullif(e.workload_tag, '')
                    )) ORDER BY e.key), '[]')
                FROM plexsphere.node_state_entries AS e
                WHERE e.node_id = n.id AND e.kind = k.kind
            ))::text
        FROM (VALUES ('metadata', 'metadata'), ('data', 'data'), ('report', 'reports'))
            AS k (kind, bucket)
    ) AS state
FROM plexsphere.nodes AS n
WHERE n.domain_id = %(domain_id)s
ORDER BY n.id;

-- name: ipv6_nodes
-- prepare: domain_id uuid, most integer
-- db/fleet.py, ipv6_nodes: Nodes of a Domain, or with NULL of all, whose pull has a rule or a peer of
-- IPv6. A payload is read as bytes, because a corrupt one is no text. It has at most so many rows.
-- Indexes: nodes_by_domain and the primary key of policies; the whole tables where there is no Domain.
WITH peers AS (
    SELECT
        n.domain_id,
        count(*) AS nodes
    FROM plexsphere.nodes AS n
    WHERE family(n.mesh_ip) = 6
        AND (%(domain_id)s IS NULL OR n.domain_id = %(domain_id)s)
    GROUP BY n.domain_id
)
SELECT n.id::text
FROM plexsphere.nodes AS n
LEFT JOIN peers AS p ON p.domain_id = n.domain_id
WHERE (%(domain_id)s IS NULL OR n.domain_id = %(domain_id)s)
    AND (
        p.nodes > (coalesce(family(n.mesh_ip), 4) = 6)::int
        OR EXISTS (
            SELECT
            FROM plexsphere.policy_compiled_ruleset AS c
            WHERE c.node_id = n.id
                AND encode(c.rule_payload, 'escape') ~ '_cidr":"[0-9a-f]*:'
        )
    )
ORDER BY n.id
LIMIT %(most)s;
