-- db/holders.py: sessions with a lock on %(table)s, of %(mode)s or of any where that is NULL, the one
-- that has been at it longest first. Catalogues alone.
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
