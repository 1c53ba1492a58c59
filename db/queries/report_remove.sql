-- db/entries.py, PostgresEntries.remove, of a report. $1 Node, $2 Domain, $3 key.
-- Indexes: nodes_pkey, node_state_entries_pkey. One row: whether there is such a Node, whether the
-- report was there.
PREPARE report_remove (uuid, uuid, text) AS
WITH removed AS (
    DELETE FROM plexsphere.node_state_entries AS e
    USING plexsphere.nodes AS n
    WHERE n.id = $1
        AND n.domain_id = $2
        AND e.node_id = n.id
        AND e.kind = 'report'
        AND e.key = $3
    RETURNING e.node_id
)
SELECT
    EXISTS (SELECT FROM plexsphere.nodes AS n WHERE n.id = $1 AND n.domain_id = $2),
    EXISTS (SELECT FROM removed);
