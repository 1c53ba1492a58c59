-- db/node_history.py: whether the Node is registered, of one of which nothing else is known.
-- Index: nodes_pkey.
SELECT TRUE
FROM plexsphere.nodes AS n
WHERE n.id = %(node_id)s;
