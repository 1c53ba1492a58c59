-- db/audit_retention.py: what was remembered for rows about Nodes and Domains that are gone, and the
-- last pulls of such Nodes. Index: nodes_pkey. A row that a writer has in hand is left for next time.
WITH forgotten AS (
    DELETE FROM plexsphere.departed AS d
    WHERE d.departed_at < %(since)s
),
left_behind AS (
    SELECT p.node_id
    FROM plexsphere.node_pulls AS p
    WHERE NOT EXISTS (SELECT FROM plexsphere.nodes AS n WHERE n.id = p.node_id)
    ORDER BY p.node_id
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plexsphere.node_pulls AS p
USING left_behind AS l
WHERE p.node_id = l.node_id;
