-- db/node_history.py: what a Node's own agent was granted, a row for each run of one digest, the newest first.
-- Index: audit_rows_by_object, of every day merged.
SELECT
    r.digest,
    min(r.occurred_at) AS first_at,
    max(r.occurred_at) AS last_at,
    count(*) AS grants
FROM (
    SELECT
        g.digest,
        g.occurred_at,
        -- Grows at every change of digest, so it is one number throughout a run.
        count(*) FILTER (WHERE g.is_new) OVER (ORDER BY g.occurred_at, g.seq) AS run
    FROM (
        SELECT
            a.seq,
            a.digest,
            a.occurred_at,
            a.digest IS DISTINCT FROM lag(a.digest) OVER (ORDER BY a.occurred_at, a.seq) AS is_new
        FROM plexsphere.audit_rows AS a
        WHERE a.object = %(object)s
            AND a.relation = 'node_state.pull'
            AND a.outcome = 'granted'
            AND a.subject = a.object
            AND a.digest IS NOT NULL
            AND isfinite(a.occurred_at)
    ) AS g
) AS r
GROUP BY r.run, r.digest
ORDER BY r.run DESC
LIMIT %(limit)s;
