-- db/explain.py, the entries behind state and reports, in the order they are served. The value stays
-- in the ledger: only its size in bytes is told. Index: the primary key.
SELECT
    e.kind,
    e.key,
    octet_length(e.value),
    e.workload_tag,
    e.updated_at::text
FROM plexsphere.node_state_entries AS e
WHERE e.node_id = %(node_id)s
ORDER BY array_position(ARRAY['metadata', 'data', 'report'], e.kind), e.key;
