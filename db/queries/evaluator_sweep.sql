-- db/sweeps.py: one sweep over every Node, one row. One pass over nodes, which reads each row anyway:
-- no index on last_heartbeat_at, so that heartbeats stay HOT. The rows to change by nodes_pkey.
--
-- Never on a heartbeat it has not seen: a row that somebody holds is left to the next sweep, and one
-- that changed since this statement began is judged again as it is now (READ COMMITTED). So it waits
-- for no row, and nobody can deadlock with it. Columns without index or trigger: the update is HOT
-- where the page has room, and no peers_revision moves.
WITH moment AS (
    SELECT
        statement_timestamp() AS by_the_wall,
        statement_timestamp() + %(ahead)s AS at
),
-- After a pause nobody knows who would have been heard: silence counts from here on. A sweep that
-- is not the elected evaluator's has no rhythm of its own, and starts and ends no watch.
watch AS (
    SELECT
        CASE
            WHEN w.swept_at IS NULL THEN '-infinity'
            WHEN m.by_the_wall - w.swept_at <= %(deaf_after)s THEN LEAST(w.watching_since, m.at)
            WHEN %(elected)s THEN m.at
            ELSE '-infinity'
        END AS since
    FROM moment AS m
    LEFT JOIN plexsphere.evaluator_watch AS w ON true
),
kept AS (
    INSERT INTO plexsphere.evaluator_watch (watching_since, swept_at)
    SELECT
        w.since,
        m.by_the_wall
    FROM moment AS m
    CROSS JOIN watch AS w
    WHERE %(elected)s
    ON CONFLICT (is_only) DO UPDATE
    SET watching_since = EXCLUDED.watching_since,
        swept_at = EXCLUDED.swept_at
),
judged AS (
    SELECT
        n.id,
        n.reachability_state AS was,
        v.state,
        m.at
    FROM plexsphere.nodes AS n
    JOIN plexsphere.domains AS d ON d.id = n.domain_id
    CROSS JOIN moment AS m
    CROSS JOIN watch AS w
    CROSS JOIN LATERAL (
        SELECT
            COALESCE(NULLIF(d.stale_after, '0'), %(stale_after)s) AS stale_after,
            COALESCE(NULLIF(d.unreachable_after, '0'), %(unreachable_after)s) AS unreachable_after,
            m.at - n.last_heartbeat_at AS silent,
            m.at - GREATEST(n.last_heartbeat_at, w.since) AS heard_silent
    ) AS s
    -- 0 is not yet evaluated, 1 healthy, 2 stale, 3 unreachable. A state gets better as soon as the
    -- silence is short enough, and worse only by silence that somebody was there to hear.
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN s.silent >= s.unreachable_after THEN 3
                WHEN s.silent >= s.stale_after THEN 2
                ELSE 1
            END AS at_worst,
            CASE
                WHEN s.heard_silent >= s.unreachable_after THEN 3
                WHEN s.heard_silent >= s.stale_after THEN 2
                WHEN s.silent < s.stale_after THEN 1
                ELSE 0
            END AS at_best,
            CASE n.reachability_state
                WHEN 'healthy' THEN 1
                WHEN 'stale' THEN 2
                WHEN 'unreachable' THEN 3
                ELSE 0
            END AS so_far
    ) AS r
    CROSS JOIN LATERAL (
        SELECT
            CASE LEAST(r.at_worst, GREATEST(r.so_far, r.at_best))
                WHEN 1 THEN 'healthy'
                WHEN 2 THEN 'stale'
                WHEN 3 THEN 'unreachable'
                ELSE ''
            END AS state
    ) AS v
    WHERE n.last_heartbeat_at IS NOT NULL
        AND v.state <> n.reachability_state
    FOR NO KEY UPDATE OF n SKIP LOCKED
),
moved AS (
    UPDATE plexsphere.nodes AS n
    SET reachability_state = j.state,
        changed_at = j.at
    FROM judged AS j
    WHERE n.id = j.id
    RETURNING n.id, j.was, j.state
),
counted AS (
    SELECT
        o.was,
        o.state,
        count(*) AS nodes
    FROM moved AS o
    GROUP BY o.was, o.state
)
SELECT
    (SELECT w.since = m.at FROM watch AS w CROSS JOIN moment AS m) AS resumed,
    COALESCE(
        (
            SELECT json_agg(json_build_array(c.was, c.state, c.nodes, s.ids) ORDER BY c.was, c.state)
            FROM counted AS c
            -- A few of them for whoever reads the log; sorting all took as long as judging them.
            CROSS JOIN LATERAL (
                SELECT array_agg(f.id::text ORDER BY f.id) AS ids
                FROM (
                    SELECT o.id
                    FROM moved AS o
                    WHERE o.was = c.was
                        AND o.state = c.state
                    LIMIT 10
                ) AS f
            ) AS s
        ),
        '[]'
    ) AS transitions;
