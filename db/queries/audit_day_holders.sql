-- db/audit_retention.py: who keeps a day from being dropped, the one that has been at it longest first.
SELECT
    a.pid,
    a.application_name,
    round(extract(epoch FROM clock_timestamp() - a.xact_start))::int
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.relation = 'plexsphere.audit_rows'::regclass
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.granted
    AND a.pid <> pg_backend_pid()
GROUP BY a.pid, a.application_name, a.xact_start
ORDER BY a.xact_start
LIMIT 3;
