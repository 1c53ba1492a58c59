-- db/outbox_retention.py: the first moment that stays, and what lies before it, by type: rows with
-- nothing more to wait for, and rows that wait or are parked. %(age)s is an interval. Scans the table.
SELECT
    k.since,
    o.type,
    count(o.drained_at),
    count(*) - count(o.drained_at)
FROM (SELECT statement_timestamp() - %(age)s::interval AS since) AS k
LEFT JOIN plexsphere.outbox AS o ON o.created_at < k.since
GROUP BY k.since, o.type
ORDER BY o.type;
