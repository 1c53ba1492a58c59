-- db/entries.py, PostgresEntries.remove, of metadata and data. $1 Node, $2 Domain, $3 kind, $4 key.
-- Indexes: nodes_pkey, node_state_entries_pkey. One row: whether there is such a Node, whether the
-- entry was there; an event where it was.
PREPARE entry_remove (uuid, uuid, text, text) AS
WITH removed AS (
    DELETE FROM plexsphere.node_state_entries AS e
    USING plexsphere.nodes AS n
    WHERE n.id = $1
        AND n.domain_id = $2
        AND e.node_id = n.id
        AND e.kind = $3
        AND e.key = $4
    RETURNING e.node_id
),
event AS (
    INSERT INTO plexsphere.outbox (domain_id, type, object, payload, drained_at)
    SELECT
        $2,
        'node_state_updated',
        'node:' || r.node_id,
        jsonb_build_object('kind', $3, 'key', $4, 'removed', true),
        now()
    FROM removed AS r
)
SELECT
    EXISTS (SELECT FROM plexsphere.nodes AS n WHERE n.id = $1 AND n.domain_id = $2),
    EXISTS (SELECT FROM removed);
