-- Events: rows that wait for the stream, and rows that are published.

-- name: events_elect
-- db/events.py, PostgresEvents, once a connection: whether this session is the elected publisher. The
-- lock is released when the session ends. No table is read.
SELECT pg_try_advisory_lock(%(lock)s);

-- name: events_unpublished
-- prepare: limit integer, excluded uuid[]
-- db/events.py, PostgresEvents.unpublished: the oldest rows, but for those of some Domains.
-- Index: events_unpublished.
SELECT
    e.seq,
    e.id::text,
    e.domain_id::text,
    e.node_id::text,
    e.block,
    e.content
FROM plexsphere.events AS e
WHERE e.published_at IS NULL
    AND e.domain_id <> ALL (%(excluded)s)
ORDER BY e.seq
LIMIT %(limit)s;

-- name: events_published
-- prepare: seqs bigint[], events integer
-- db/events.py, PostgresEvents.published. Rows that no pull shows are marked and were no event.
-- Index: events_pkey.
WITH counted AS (
    UPDATE plexsphere.published_events AS p
    SET number = p.number + %(events)s
    WHERE %(events)s > 0
)
UPDATE plexsphere.events AS e
SET published_at = clock_timestamp()
WHERE e.seq = ANY (%(seqs)s)
RETURNING e.seq;

-- name: events_delete_published
-- db/events.py, PostgresEvents.delete_published: a batch of rows that were published long ago.
-- Indexes: events_published, events_pkey.
WITH old AS (
    SELECT e.seq
    FROM plexsphere.events AS e
    WHERE e.published_at < statement_timestamp() - %(age)s::interval
    ORDER BY e.published_at
    LIMIT %(limit)s
)
DELETE FROM plexsphere.events AS e
USING old
WHERE e.seq = old.seq
RETURNING e.seq;

-- name: events_delete_unpublished
-- db/events.py, PostgresEvents.delete_unpublished: those of the oldest rows that nobody will publish.
-- Indexes: events_unpublished, events_pkey.
WITH oldest AS (
    SELECT e.seq, e.created_at
    FROM plexsphere.events AS e
    WHERE e.published_at IS NULL
    ORDER BY e.seq
    LIMIT %(limit)s
)
DELETE FROM plexsphere.events AS e
USING oldest
WHERE e.seq = oldest.seq
    AND oldest.created_at < statement_timestamp() - %(age)s::interval
RETURNING e.seq;

-- name: events_lag
-- db/events.py, PostgresEvents.lag, and db/health.py, read_lag: the number of rows that wait, and the
-- age of the oldest in seconds; the number of events that were published.
-- Index: events_unpublished.
SELECT
    count(*),
    coalesce(greatest(extract(epoch FROM clock_timestamp() - min(e.created_at)), 0), 0)::float8,
    (SELECT p.number FROM plexsphere.published_events AS p)
FROM plexsphere.events AS e
WHERE e.published_at IS NULL;

-- name: forget_events
-- db/bulk.py, forget_events: every event of a ledger that nobody follows yet.
-- No index: it deletes the whole table.
DELETE FROM plexsphere.events;
