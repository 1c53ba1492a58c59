-- Reachability: the state of one Node, and the evaluator that decides the states of all Nodes.

-- name: reachability_of_node
-- prepare: node_id uuid
-- db/reachability.py, PostgresReachabilityRepo.of_node.
-- Index: nodes_pkey.
SELECT
    -- include: reachability_as_json
FROM plexsphere.nodes AS n
WHERE n.id = %(node_id)s;

-- name: evaluator_elect
-- db/reachability.py, PostgresSweeps.sweep, once a connection: whether this session is the elected
-- evaluator. The lock is released when the session ends. No table is read.
SELECT pg_try_advisory_lock(%(lock)s);

-- name: evaluator_sweep
-- db/reachability.py, PostgresSweeps: one sweep over every Node; the answer is one row.
-- It reads all of nodes anyway, so last_heartbeat_at needs no index and heartbeats stay HOT updates.
-- A row that another transaction has locked is left to the next sweep. A row that changed since this
-- statement began is decided again on its new values (READ COMMITTED). So the sweep waits for no row
-- lock, cannot deadlock, and never overwrites a heartbeat that it has not seen. It writes columns
-- that no index and no trigger covers: the update is HOT where the page has room, and no
-- peers_revision changes.
-- Index: nodes_pkey, for the rows to change.
WITH moment AS (
    SELECT
        statement_timestamp() AS real_time,
        statement_timestamp() + %(time_offset)s AS at
),
-- After a pause in which no evaluator ran, silence counts from the first sweep on: heartbeats may
-- have been lost meanwhile. A sweep on demand (not by the elected evaluator) is not part of a regular
-- series, so it neither begins nor continues one.
watch AS (
    SELECT
        CASE
            WHEN w.swept_at IS NULL THEN '-infinity'
            WHEN m.real_time - w.swept_at <= %(pause_after)s THEN LEAST(w.watching_since, m.at)
            WHEN %(elected)s THEN m.at
            ELSE '-infinity'
        END AS since
    FROM moment AS m
    LEFT JOIN plexsphere.evaluator_watch AS w ON true
),
recorded AS (
    INSERT INTO plexsphere.evaluator_watch (watching_since, swept_at)
    SELECT
        w.since,
        m.real_time
    FROM moment AS m
    CROSS JOIN watch AS w
    WHERE %(elected)s
    ON CONFLICT (is_only) DO UPDATE
    SET watching_since = EXCLUDED.watching_since,
        swept_at = EXCLUDED.swept_at
),
decided AS (
    SELECT
        n.id,
        n.reachability_state AS old_state,
        v.new_state,
        m.at
    FROM plexsphere.nodes AS n
    JOIN plexsphere.domains AS d ON d.id = n.domain_id
    CROSS JOIN moment AS m
    CROSS JOIN watch AS w
    CROSS JOIN LATERAL (
        SELECT
            COALESCE(NULLIF(d.stale_after, '0'), %(stale_after)s) AS stale_after,
            COALESCE(NULLIF(d.unreachable_after, '0'), %(unreachable_after)s) AS unreachable_after,
            m.at - n.last_heartbeat_at AS silence,
            m.at - GREATEST(n.last_heartbeat_at, w.since) AS watched_silence
    ) AS s
    -- 0 is not yet evaluated, 1 healthy, 2 stale, 3 unreachable. A state gets better as soon as the
    -- silence is short enough; it gets worse only by silence during which an evaluator ran.
    CROSS JOIN LATERAL (
        SELECT
            CASE
                WHEN s.silence >= s.unreachable_after THEN 3
                WHEN s.silence >= s.stale_after THEN 2
                ELSE 1
            END AS worst,
            CASE
                WHEN s.watched_silence >= s.unreachable_after THEN 3
                WHEN s.watched_silence >= s.stale_after THEN 2
                WHEN s.silence < s.stale_after THEN 1
                ELSE 0
            END AS best,
            CASE n.reachability_state
                WHEN 'healthy' THEN 1
                WHEN 'stale' THEN 2
                WHEN 'unreachable' THEN 3
                ELSE 0
            END AS present
    ) AS r
    CROSS JOIN LATERAL (
        SELECT
            CASE LEAST(r.worst, GREATEST(r.present, r.best))
                WHEN 1 THEN 'healthy'
                WHEN 2 THEN 'stale'
                WHEN 3 THEN 'unreachable'
                ELSE ''
            END AS new_state
    ) AS v
    WHERE n.last_heartbeat_at IS NOT NULL
        AND v.new_state <> n.reachability_state
    FOR NO KEY UPDATE OF n SKIP LOCKED
),
updated AS (
    UPDATE plexsphere.nodes AS n
    SET reachability_state = d.new_state,
        changed_at = d.at
    FROM decided AS d
    WHERE n.id = d.id
    RETURNING n.id, d.old_state, d.new_state
),
counted AS (
    SELECT
        u.old_state,
        u.new_state,
        count(*) AS nodes
    FROM updated AS u
    GROUP BY u.old_state, u.new_state
)
SELECT
    (SELECT w.since = m.at FROM watch AS w CROSS JOIN moment AS m) AS resumed,
    COALESCE(
        (
            SELECT
                json_agg(
                    json_build_array(c.old_state, c.new_state, c.nodes, s.ids)
                    ORDER BY c.old_state, c.new_state
                )
            FROM counted AS c
            -- Ten ids for the log: to sort all of them takes as long as the whole decision.
            CROSS JOIN LATERAL (
                SELECT array_agg(f.id::text ORDER BY f.id) AS ids
                FROM (
                    SELECT u.id
                    FROM updated AS u
                    WHERE u.old_state = c.old_state
                        AND u.new_state = c.new_state
                    LIMIT 10
                ) AS f
            ) AS s
        ),
        '[]'
    ) AS transitions;

-- name: evaluator_age
-- db/health.py, read_lag: the seconds since the last sweep, by the real clock; no row when no evaluator
-- has ever run. The table has one row at most: no index matters.
SELECT greatest(extract(epoch FROM clock_timestamp() - w.swept_at), 0)::float8
FROM plexsphere.evaluator_watch AS w;
