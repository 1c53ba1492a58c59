-- db/fleet_pictures.py, LedgerPictures.of_domain: what every Node of a Domain should look like, for
-- the proof of a simulation. It shares nothing with the statement of the pull, nor with the composer:
-- a mistake of theirs is to be seen here. $1 Domain; a row a Node, by id.
-- Indexes: nodes_by_domain, the primary keys of policies and entries, the bridge's foreign keys.
PREPARE fleet_pictures (uuid) AS
SELECT
    n.id::text AS node_id,
    host(n.mesh_ip) AS mesh_ip,
    encode(n.public_key, 'base64') AS public_key,
    (
        SELECT
            CASE WHEN a.fallback_endpoint LIKE '%:%'
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
    ) AS hosts_a_bridge,
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
WHERE n.domain_id = $1
ORDER BY n.id;
