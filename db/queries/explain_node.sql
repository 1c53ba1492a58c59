-- db/explain.py, the Addressed Node as it stands in the ledger. Index: nodes_pkey, domains_pkey.
-- Times as text: an explanation shows what is there, also where no datetime could hold it.
SELECT
    n.id::text,
    n.name,
    n.domain_id::text,
    d.name,
    d.peers_revision::text,
    n.reachability_state,
    n.last_heartbeat_at::text,
    n.changed_at::text,
    n.authz_token IS NOT NULL
FROM plexsphere.nodes AS n
JOIN plexsphere.domains AS d ON d.id = n.domain_id
WHERE n.id = %(node_id)s;
