-- db/entries.py, PostgresEntries.put, of a report. $1 Node, $2 Domain, $3 key, $4 value, $5 workload
-- tag, $6 how many reports a Node may hold. Indexes: nodes_pkey, node_state_entries_pkey.
-- Its snapshot is taken behind the lock of report_put_execute.sql, so that what is counted is what
-- there is. FOR KEY SHARE, as the foreign key takes it: a Node on its way out is waited for and is
-- then not there; heartbeats are not in the way. One row: the moment, whether there is such a Node,
-- whether there is room.
PREPARE report_put (uuid, uuid, text, text, text, integer) AS
WITH node AS MATERIALIZED (
    SELECT n.id
    FROM plexsphere.nodes AS n
    WHERE n.id = $1
        AND n.domain_id = $2
    FOR KEY SHARE
),
held AS (
    SELECT count(*) < $6 OR bool_or(e.key = $3) AS fits
    FROM plexsphere.node_state_entries AS e
    WHERE e.node_id = $1
        AND e.kind = 'report'
),
written AS (
    INSERT INTO plexsphere.node_state_entries AS e (node_id, kind, key, value, workload_tag)
    SELECT n.id, 'report', $3, $4, $5
    FROM node AS n
    JOIN held AS h ON h.fits
    ON CONFLICT (node_id, kind, key) DO UPDATE
    SET value = EXCLUDED.value,
        workload_tag = EXCLUDED.workload_tag,
        updated_at = EXCLUDED.updated_at
    WHERE (e.value, e.workload_tag) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.workload_tag)
)
SELECT
    statement_timestamp(),
    EXISTS (SELECT FROM node),
    h.fits
FROM held AS h;
