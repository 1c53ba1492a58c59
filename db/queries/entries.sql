-- The state entries of a Node: metadata and data, which editors write, and reports, which the Node's
-- own agent writes.

-- name: lock_reports
-- db/entries.py, before report_put. Nobody else writes a report of this Node until the transaction
-- ends, so the number of reports that report_put counts stays right. No table is read.
SELECT pg_advisory_xact_lock(hashtextextended('plexsphere reports of ' || %(node_id)s, 0));

-- name: report_put
-- prepare: node_id uuid, domain_id uuid, kind text, key text, value text, workload_tag text
-- prepare: quota integer, audit_relation text, audit_subject text, correlation_id text
-- first: lock_reports
-- db/entries.py, PostgresEntries.put, for a report. quota is how many entries of one kind a Node may
-- have. One row: the time of writing, whether the Node exists, whether there is room.
-- Indexes: nodes_by_domain, node_state_entries_pkey; of the function (migration 0012) nodes_pkey,
-- departed_pkey.
-- include: put_entry
;

-- name: report_remove
-- prepare: node_id uuid, domain_id uuid, kind text, key text
-- prepare: audit_relation text, audit_subject text, correlation_id text
-- db/entries.py, PostgresEntries.remove, for a report.
-- One row: whether the Node exists, whether the report existed.
-- Indexes: nodes_by_domain, node_state_entries_pkey; of the function (migration 0012) nodes_pkey,
-- departed_pkey.
-- include: remove_entry
;

-- name: lock_domain
-- db/entries.py, before entry_put and entry_remove. The number of entries that entry_put counts stays
-- right, and the trigger that announces the change (migration 0017) finds the row locked already.
-- Index: domains_pkey.
SELECT
FROM plexsphere.domains AS d
WHERE d.id = %(domain_id)s
FOR NO KEY UPDATE;

-- name: entry_put
-- prepare: node_id uuid, domain_id uuid, kind text, key text, value text, workload_tag text
-- prepare: quota integer, audit_relation text, audit_subject text, correlation_id text
-- first: lock_domain
-- db/entries.py, PostgresEntries.put, for metadata and data. As report_put.
-- Indexes: nodes_by_domain, node_state_entries_pkey; of the function (migration 0012) nodes_pkey,
-- departed_pkey.
-- include: put_entry
;

-- name: entry_remove
-- prepare: node_id uuid, domain_id uuid, kind text, key text
-- prepare: audit_relation text, audit_subject text, correlation_id text
-- first: lock_domain
-- db/entries.py, PostgresEntries.remove, for metadata and data. As report_remove.
-- Indexes: nodes_by_domain, node_state_entries_pkey; of the function (migration 0012) nodes_pkey,
-- departed_pkey.
-- include: remove_entry
;

-- fragment: put_entry
-- The Node, whether there is room for the entry, and the entry written where it differs.
-- FOR KEY SHARE is the lock that the foreign key takes: it waits for a transaction that deletes the
-- Node, and does not wait for heartbeats.
WITH node AS MATERIALIZED (
    SELECT n.id
    FROM plexsphere.nodes AS n
    WHERE n.id = %(node_id)s
        AND n.domain_id = %(domain_id)s
    FOR KEY SHARE
),
existing AS (
    SELECT count(*) < %(quota)s OR bool_or(e.key = %(key)s) AS fits
    FROM plexsphere.node_state_entries AS e
    WHERE e.node_id = %(node_id)s
        AND e.kind = %(kind)s
),
written AS (
    INSERT INTO plexsphere.node_state_entries AS e (node_id, kind, key, value, workload_tag)
    SELECT n.id, %(kind)s, %(key)s, %(value)s, %(workload_tag)s
    FROM node AS n
    JOIN existing AS x ON x.fits
    ON CONFLICT (node_id, kind, key) DO UPDATE
    SET value = EXCLUDED.value,
        workload_tag = EXCLUDED.workload_tag,
        updated_at = EXCLUDED.updated_at
    WHERE (e.value, e.workload_tag) IS DISTINCT FROM (EXCLUDED.value, EXCLUDED.workload_tag)
    RETURNING e.node_id
),
-- The rows are written before the audit row, because readers of the audit see no row after that one
-- until the transaction ends.
result AS MATERIALIZED (
    SELECT
        EXISTS (SELECT FROM node) AS node_exists,
        x.fits AND (SELECT count(*) FROM written) >= 0 AS is_granted
    FROM existing AS x
)
SELECT
    statement_timestamp(),
    r.node_exists,
    r.is_granted
FROM result AS r
CROSS JOIN LATERAL
-- include: entry_recorded

-- fragment: remove_entry
-- The Node, and the entry that was removed.
WITH node AS MATERIALIZED (
    SELECT n.id
    FROM plexsphere.nodes AS n
    WHERE n.id = %(node_id)s
        AND n.domain_id = %(domain_id)s
),
removed AS (
    DELETE FROM plexsphere.node_state_entries AS e
    USING node AS n
    WHERE e.node_id = n.id
        AND e.kind = %(kind)s
        AND e.key = %(key)s
    RETURNING e.node_id
),
result AS MATERIALIZED (
    SELECT
        EXISTS (SELECT FROM node) AS node_exists,
        EXISTS (SELECT FROM removed) AS is_granted
)
SELECT
    r.node_exists,
    r.is_granted
FROM result AS r
CROSS JOIN LATERAL
-- include: entry_recorded

-- fragment: entry_recorded
-- The audit row of a write that the answer grants.
plexsphere.record_write(
    CASE WHEN r.node_exists AND r.is_granted THEN %(audit_relation)s END,
    %(audit_subject)s,
    'node:' || %(node_id)s,
    %(correlation_id)s
)
