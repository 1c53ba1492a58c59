-- db/entries.py, PostgresEntries.put, of metadata and data. $1 Node, $2 Domain, $3 kind, $4 key,
-- $5 value, $6 workload tag, $7 how many entries of a kind a Node may hold.
-- Indexes: nodes_pkey, node_state_entries_pkey. As report_put.sql, behind the Domain's row and with
-- an event for what did change, which says all of the entry.
PREPARE entry_put (uuid, uuid, text, text, text, text, integer) AS
WITH node AS MATERIALIZED (
    SELECT n.id
    FROM plexsphere.nodes AS n
    WHERE n.id = $1
        AND n.domain_id = $2
    FOR KEY SHARE
),
held AS (
    SELECT count(*) < $7 OR bool_or(e.key = $4) AS fits
    FROM plexsphere.node_state_entries AS e
    WHERE e.node_id = $1
        AND e.kind = $3
),
written AS (
    INSERT INTO plexsphere.node_state_entries AS e (node_id, kind, key, value, workload_tag)
    SELECT n.id, $3, $4, $5, $6
    FROM node AS n
    JOIN held AS h ON h.fits
    ON CONFLICT (node_id, kind, key) DO UPDATE
    SET value = EXCLUDED.value,
        workload_tag = EXCLUDED.workload_tag,
        updated_at = EXCLUDED.updated_at
    WHERE (e.value, e.workload_tag) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.workload_tag)
    RETURNING e.node_id
),
event AS (
    INSERT INTO plexsphere.outbox (domain_id, type, object, payload, drained_at)
    SELECT
        $2,
        'node_state_updated',
        'node:' || w.node_id,
        jsonb_strip_nulls(jsonb_build_object(
            'kind', $3, 'key', $4, 'removed', false, 'value', $5, 'workload_tag', $6
        )),
        now()
    FROM written AS w
)
SELECT
    statement_timestamp(),
    EXISTS (SELECT FROM node),
    h.fits
FROM held AS h;
