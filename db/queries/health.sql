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
