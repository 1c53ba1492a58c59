-- db/audit_retention.py: the first moment that stays, what lies before it by partition, and how much.
-- %(age)s is an interval; whole days of UTC alone go. Each partition is counted by its primary key.
WITH first AS (
    SELECT (statement_timestamp() - %(age)s::interval) AT TIME ZONE 'UTC' AS moment
),
kept AS (
    SELECT date_trunc('day', f.moment) AT TIME ZONE 'UTC' AS since
    FROM first AS f
),
counted AS (
    SELECT a.tableoid, count(*) AS rows
    FROM plexsphere.audit_rows AS a
    WHERE a.occurred_at < (SELECT k.since FROM kept AS k)
    GROUP BY a.tableoid
)
SELECT
    k.since,
    d.day,
    coalesce(n.rows, 0),
    CASE WHEN d.day IS NULL THEN 0 ELSE pg_total_relation_size(d.oid) END
FROM kept AS k
LEFT JOIN (
    SELECT
        c.oid,
        CASE WHEN c.relname ~ '^audit_rows_[0-9]{8}$' THEN to_date(right(c.relname, 8), 'YYYYMMDD') END AS day
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'plexsphere.audit_rows'::regclass
) AS d ON (d.day + 1)::timestamp AT TIME ZONE 'UTC' <= k.since OR d.day IS NULL
LEFT JOIN counted AS n ON n.tableoid = d.oid
ORDER BY d.day NULLS LAST;
