-- db/node_history.py: the bodies that are kept of a Node, the newest first. Index: node_bodies_pkey.
SELECT b.digest, b.served_at, b.bytes, b.body
FROM plexsphere.node_bodies AS b
WHERE b.node_id = %(node_id)s
ORDER BY b.served_at DESC, b.digest;
