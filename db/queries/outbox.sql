-- The outbox: rows that wait for SpiceDB, claimed, sent, marked as sent.

-- name: outbox_claim_object
-- db/outbox.py, PostgresOutbox.claim. It begins the transaction of the claim. The owner of the lock on
-- an object's oldest row sends all rows of the object: a second caller waits here, and after that wait
-- READ COMMITTED evaluates the rows again, so it does not get rows that are sent.
-- Indexes: outbox_waiting, fences_pkey.
BEGIN;
SELECT
    o.seq,
    o.object,
    o.tuples,
    o.parked_because,
    f.number
FROM plexsphere.outbox AS o
LEFT JOIN plexsphere.fences AS f ON f.object = o.object
WHERE o.object = %(object)s
    AND o.drained_at IS NULL
ORDER BY o.seq
FOR UPDATE OF o;

-- name: outbox_begin
-- db/outbox.py, before outbox_claim_oldest: a claim is a transaction.
BEGIN;

-- name: outbox_claim_oldest
-- prepare: limit integer, excluded text[]
-- first: outbox_begin
-- db/outbox.py, PostgresOutbox.claim_oldest, several times a second. Objects with a
-- change of roles come before Nodes that were registered or deleted: a revocation must not wait
-- behind many Nodes. It locks the oldest row of each object only and skips an object whose oldest row
-- is locked, so no two claims ever have the same object. The later rows of an object need no lock: no
-- other claim can reach them.
-- Indexes: outbox_roles_waiting, outbox_waiting_by_age, outbox_waiting, fences_pkey.
WITH with_roles AS MATERIALIZED (
    SELECT o.object
    FROM plexsphere.outbox AS o
    WHERE o.drained_at IS NULL
        AND o.parked_at IS NULL
        AND o.type NOT IN ('peer_added', 'peer_removed')
        AND o.object <> ALL (%(excluded)s)
    GROUP BY o.object
    ORDER BY min(o.seq)
    LIMIT %(limit)s
),
first AS MATERIALIZED (
    SELECT o.object
    FROM with_roles AS r
    JOIN plexsphere.outbox AS o ON o.object = r.object
    WHERE o.drained_at IS NULL
        AND o.parked_at IS NULL
        AND
        -- include: oldest_of_object
    FOR UPDATE OF o SKIP LOCKED
),
others AS MATERIALIZED (
    SELECT o.object
    FROM plexsphere.outbox AS o
    WHERE o.drained_at IS NULL
        AND o.parked_at IS NULL
        AND o.object <> ALL (%(excluded)s)
        AND o.object NOT IN (SELECT r.object FROM with_roles AS r)
        AND
        -- include: oldest_of_object
    ORDER BY o.seq
    LIMIT %(limit)s - (SELECT count(*) FROM first)
    FOR UPDATE OF o SKIP LOCKED
)
SELECT
    o.seq,
    o.object,
    o.tuples,
    NULL::text,
    f.number
FROM (SELECT object FROM first UNION ALL SELECT object FROM others) AS l
JOIN plexsphere.outbox AS o ON o.object = l.object
LEFT JOIN plexsphere.fences AS f ON f.object = l.object
WHERE o.drained_at IS NULL
    AND o.parked_at IS NULL
ORDER BY o.seq;

-- fragment: oldest_of_object
-- No earlier row of the object waits.
NOT EXISTS (
    SELECT FROM plexsphere.outbox AS e
    WHERE e.object = o.object
        AND e.seq < o.seq
        AND e.drained_at IS NULL
        AND e.parked_at IS NULL
)

-- name: outbox_lock_roles
-- db/outbox.py, PostgresOutbox, before SpiceDB gets the roles of a Domain or of the platform. A
-- Domain's row has one ZedToken for both, and tokens cannot be compared: so the platform's roles are
-- sent while no Domain's are, and the token that is stored last is the latest. Different Domains do
-- not wait for each other. No table is read.
SELECT
    CASE
        WHEN %(exclusive)s THEN pg_advisory_xact_lock(%(lock)s)
        ELSE pg_advisory_xact_lock_shared(%(lock)s)
    END;

-- name: outbox_drained
-- db/outbox.py, Claim.drained: the ZedToken, stored where the gates read it, and the rows that are
-- sent. Domains before Nodes, and both in the order of their ids, as every writer locks them. Last
-- the number of the last change of each object; no other claim has these objects.
-- Indexes: domains_pkey, nodes_pkey, outbox_pkey, outbox_waiting, fences_pkey.
UPDATE plexsphere.domains AS d
SET authz_token = %(token)s
FROM (
    SELECT l.id
    FROM plexsphere.domains AS l
    WHERE %(all_domains)s
        OR l.id = ANY (%(domains)s::uuid[])
    ORDER BY l.id
    FOR NO KEY UPDATE
) AS locked
WHERE d.id = locked.id;
UPDATE plexsphere.nodes AS n
SET authz_token = %(token)s
FROM (
    SELECT l.id
    FROM plexsphere.nodes AS l
    WHERE l.id = ANY (%(nodes)s::uuid[])
    ORDER BY l.id
    FOR NO KEY UPDATE
) AS locked
WHERE n.id = locked.id;
UPDATE plexsphere.outbox AS o
SET drained_at = clock_timestamp()
WHERE o.seq = ANY (%(seqs)s::bigint[]);
UPDATE plexsphere.outbox AS o
SET drained_at = clock_timestamp()
WHERE o.object = ANY (%(purged)s::text[])
    AND o.seq < %(last)s
    AND o.drained_at IS NULL;
INSERT INTO plexsphere.fences AS f (object, number)
SELECT
    r.object,
    r.number
FROM unnest(%(objects)s::text[], %(numbers)s::bigint[]) AS r (object, number)
ON CONFLICT (object) DO UPDATE
SET number = EXCLUDED.number;

-- name: outbox_park
-- db/outbox.py, Claim.parked.
-- Index: outbox_pkey.
UPDATE plexsphere.outbox AS o
SET parked_at = clock_timestamp(),
    parked_because = %(because)s
WHERE o.seq = %(seq)s;

-- name: outbox_commit
-- db/outbox.py, at the end of a claim.
COMMIT;

-- name: outbox_lag
-- db/outbox.py, PostgresOutbox.lag, and db/health.py, read_lag: the number of rows that wait, the age
-- of the oldest in seconds, and the number of parked rows.
-- Indexes: outbox_waiting_by_age, outbox_waiting.
SELECT
    w.number,
    w.seconds,
    p.number
FROM (
    SELECT
        count(*) AS number,
        coalesce(greatest(extract(epoch FROM clock_timestamp() - min(o.created_at)), 0), 0)::float8
            AS seconds
    FROM plexsphere.outbox AS o
    WHERE o.drained_at IS NULL
        AND o.parked_at IS NULL
) AS w
CROSS JOIN (
    SELECT count(*) AS number
    FROM plexsphere.outbox AS o
    WHERE o.drained_at IS NULL
        AND o.parked_at IS NOT NULL
) AS p;

-- name: outbox_old
-- db/outbox.py, OutboxRetention.old: the first moment that stays, and by type the number of rows
-- before it that are sent and that are not. age is an interval.
-- No index: it reads the whole table.
SELECT
    l.since,
    o.type,
    count(o.drained_at),
    count(*) - count(o.drained_at)
FROM (SELECT statement_timestamp() - %(age)s::interval AS since) AS l
LEFT JOIN plexsphere.outbox AS o ON o.created_at < l.since
GROUP BY l.since, o.type
ORDER BY o.type;

-- name: outbox_delete_old
-- db/outbox.py, OutboxRetention.delete: a batch of old rows, from where the last batch ended. No
-- writer needs a row that is sent; a row that is locked all the same stays.
-- Index: outbox_pkey.
WITH old AS (
    SELECT o.seq
    FROM plexsphere.outbox AS o
    WHERE o.seq > %(after)s
        AND o.drained_at IS NOT NULL
        AND o.created_at < %(since)s
    ORDER BY o.seq
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plexsphere.outbox AS o
USING old
WHERE o.seq = old.seq
RETURNING o.seq;
