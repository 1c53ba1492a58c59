-- Whether Postgres answers, and what it is doing.

-- name: ping
-- db/pool.py, before a connection that was idle is used, and db/health.py, ping. No table is read.
SELECT 1;

-- name: readiness
-- prepare: nodes integer
-- db/health.py, read_readiness: the newest migration, and some Nodes whose own tuple SpiceDB must have.
-- Indexes: nodes_pkey in order, outbox_waiting; withheld_tuples and schema_migrations have a few rows.
SELECT
    (SELECT coalesce(max(m.version), 0) FROM plexsphere.schema_migrations AS m),
    ARRAY(
        SELECT n.id::text
        FROM plexsphere.nodes AS n
        WHERE NOT EXISTS (
                SELECT FROM plexsphere.outbox AS o
                WHERE o.object = 'node:' || n.id
                    AND o.drained_at IS NULL
            )
            AND NOT EXISTS (
                SELECT FROM plexsphere.withheld_tuples AS w
                WHERE w.object = 'node:' || n.id
            )
        ORDER BY n.id
        LIMIT %(nodes)s
    );

-- name: clock
-- db/health.py, clock_skew: the time of Postgres, in Unix seconds. No table is read.
SELECT extract(epoch FROM clock_timestamp())::float8;

-- name: lock_holders
-- db/outbox.py and db/audit_retention.py, lock_holders: the three sessions that have had a lock on a
-- table longest, of one lock mode, or of any when mode is NULL. It reads catalogues only.
SELECT
    a.pid,
    coalesce(a.application_name, ''),
    coalesce(round(extract(epoch FROM clock_timestamp() - a.xact_start)), 0)::int
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.relation = %(table)s::regclass
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.granted
    AND (%(mode)s IS NULL OR l.mode = %(mode)s)
    AND a.pid <> pg_backend_pid()
GROUP BY a.pid, a.application_name, a.xact_start
ORDER BY a.xact_start
LIMIT 3;

-- name: connection_limits
-- db/health.py, connection_limits: how many connections this role may have in this database; -1 is no
-- limit. Catalogues only.
SELECT
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
    (SELECT r.rolconnlimit FROM pg_roles AS r WHERE r.rolname = current_user),
    (SELECT d.datconnlimit FROM pg_database AS d WHERE d.datname = current_database());

-- name: backend
-- db/health.py, backend: the process of Postgres behind this connection. No table is read.
SELECT pg_backend_pid();

-- name: pinned_parameters
-- db/health.py, are_parameters_kept: of those that each session of ours sets. No table is read.
SELECT
    current_setting('search_path') = 'pg_catalog'
    AND current_setting('default_transaction_read_only') = 'on';

-- name: duplicate_nodes
-- db/health.py, duplicate_nodes: Nodes of one Domain with one address, or with one key; some of them.
-- It reads all Nodes. Indexes: nodes_by_address and nodes_by_key, in their order.
(
    SELECT 'mesh_ip', n.domain_id::text, count(*), min(n.id::text), max(n.id::text)
    FROM plexsphere.nodes AS n
    WHERE n.mesh_ip IS NOT NULL
    GROUP BY n.domain_id, host(n.mesh_ip)::inet
    HAVING count(*) > 1
    LIMIT 3
)
UNION ALL
(
    SELECT 'public_key', n.domain_id::text, count(*), min(n.id::text), max(n.id::text)
    FROM plexsphere.nodes AS n
    WHERE n.public_key IS NOT NULL
    GROUP BY n.domain_id, sha256(n.public_key)
    HAVING count(*) > 1
    LIMIT 3
);
