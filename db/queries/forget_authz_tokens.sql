-- db/bulk.py, when a development SpiceDB starts empty. A scan of nodes, seldom run.
UPDATE plexsphere.nodes
SET authz_token = NULL
WHERE authz_token IS NOT NULL;
