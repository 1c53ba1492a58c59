-- db/bulk.py, when a development SpiceDB starts empty. A scan of nodes and domains, seldom run.
WITH nodes AS (
    UPDATE plexsphere.nodes
    SET authz_token = NULL
    WHERE authz_token IS NOT NULL
)
UPDATE plexsphere.domains
SET authz_token = NULL
WHERE authz_token IS NOT NULL;
