-- db/outbox.py, Claim.drained: the token, where the gates look for it, and the rows that are done.
-- Domains before Nodes and both in the order of their ids, as all writers of the ledger lock them.
-- Indexes: domains_pkey, nodes_pkey, outbox_pkey, outbox_waiting.
UPDATE plexsphere.domains AS d
SET authz_token = %(token)s
FROM (
    SELECT l.id
    FROM plexsphere.domains AS l
    WHERE %(everywhere)s
        OR l.id = ANY (%(domains)s::uuid[])
    ORDER BY l.id
    FOR NO KEY UPDATE
) AS locked
WHERE d.id = locked.id;
UPDATE plexsphere.nodes AS n
SET authz_token = %(token)s
FROM (
    SELECT l.id
    FROM plexsphere.nodes AS l
    WHERE l.id = ANY (%(nodes)s::uuid[])
    ORDER BY l.id
    FOR NO KEY UPDATE
) AS locked
WHERE n.id = locked.id;
UPDATE plexsphere.outbox AS o
SET drained_at = clock_timestamp()
WHERE o.seq = ANY (%(seqs)s::bigint[]);
UPDATE plexsphere.outbox AS o
SET drained_at = clock_timestamp()
WHERE o.object = ANY (%(purged)s::text[])
    AND o.seq < %(last)s
    AND o.drained_at IS NULL;
