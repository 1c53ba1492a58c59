-- Where the ledger is: db/positions.py.

-- name: ledger_server
-- db/positions.py, identify: the server and the database, once for each connection. No table is read, but
-- catalogues and the control file. A database that was made anew on the same server is another ledger.
-- has_history: ledger_history can be asked, as in a ledger since migration 0026.
-- The last column lets later statements of the session say where they ran (node_columns, position).
SELECT
    s.system,
    s.timeline,
    s.is_standby,
    s.wal_end,
    CASE WHEN NOT s.is_standby THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn END AS promoted_at,
    to_regprocedure('plexsphere.timeline_history(integer)') IS NOT NULL AS has_history,
    set_config(
        'plexsphere.server',
        s.system || ' ' || s.timeline || ' ' || CASE WHEN s.is_standby THEN 'on' ELSE 'off' END,
        false
    )
FROM (
    SELECT
        c.system_identifier # (d.oid::bigint << 32) AS system,
        pg_is_in_recovery() AS is_standby,
        CASE
            WHEN pg_is_in_recovery() THEN greatest(
                (SELECT k.timeline_id FROM pg_control_checkpoint() AS k),
                (SELECT r.min_recovery_end_timeline FROM pg_control_recovery() AS r)
            )
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
        END AS timeline,
        CASE
            WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_flush_lsn()
        END - '0/0'::pg_lsn AS wal_end
    FROM pg_control_system() AS c, pg_database AS d
    WHERE d.datname = current_database()
) AS s;

-- name: ledger_history
-- db/positions.py, Server.left_at: where the timelines before this one were left; NULL where the role may
-- not know. Asked where the timeline is later than what was served. No table is read.
SELECT plexsphere.timeline_history(%(timeline)s);
