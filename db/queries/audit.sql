-- The audit: rows written in batches, read by people, deleted by days.

-- name: audit_clock
-- db/audit_batches.py, AuditBatchWriter, and db/history.py, before each batch: the time of the ledger, and
-- its day in UTC. No table is read.
SELECT
    clock_timestamp(),
    (clock_timestamp() AT TIME ZONE 'UTC')::date;

-- name: audit_days
-- db/audit_batches.py, AuditBatchWriter, once a day for each process: partitions for the coming days
-- (migration 0005). It reads catalogues only.
SELECT plexsphere.make_audit_days(%(first)s::date, %(days)s);

-- name: audit_rows_of
-- db/audit_batches.py, AuditBatchWriter.rows_of: how many rows of a file of the spool are written.
-- Index: audit_writers_pkey.
SELECT w.batch
FROM plexsphere.audit_writers AS w
WHERE w.writer = %(writer)s;

-- name: audit_insert
-- db/audit_batches.py, AuditBatchWriter.write: a batch of rows in the order in which they were recorded. Two
-- statements in one transaction. The writers of batches take turns by an advisory lock until they
-- commit, because each computes the node_pulls of its Nodes from those of the batch before. The lock
-- is a statement of its own, so that the next one sees all that the writer before it has written.
-- Indexes: audit_writers_pkey, nodes_pkey, domains_pkey, departed_pkey, node_pulls_pkey.
SELECT pg_advisory_xact_lock(%(lock)s);
-- A batch that is sent twice is written once: the writer may not know whether the first was written.
WITH writer AS (
    INSERT INTO plexsphere.audit_writers AS w (writer, batch, written_at)
    VALUES (%(writer)s, %(batch)s, statement_timestamp())
    ON CONFLICT (writer) DO UPDATE
    SET batch = EXCLUDED.batch, written_at = EXCLUDED.written_at
    WHERE w.batch < EXCLUDED.batch
    RETURNING w.writer
),
-- Each row with the Domain of the object it names, or the Domain that a deleted object had.
sent AS MATERIALIZED (
    SELECT
        r.position,
        %(now)s::timestamptz - make_interval(secs => r.age) AS at,
        coalesce(n.domain_id, d.id, p.domain_id) AS domain_id,
        n.id AS node_id,
        r.relation,
        r.outcome,
        r.subject,
        r.object,
        r.correlation_id,
        r.digest
    FROM writer
    CROSS JOIN unnest(
        %(age)s::float8[],
        %(node_id)s::uuid[],
        %(domain_id)s::uuid[],
        %(relation)s::text[],
        %(outcome)s::text[],
        %(subject)s::text[],
        %(object)s::text[],
        %(correlation_id)s::text[],
        %(digest)s::text[]
    ) WITH ORDINALITY AS r (
        age, node_id, domain_id, relation, outcome, subject, object, correlation_id, digest, position
    )
    LEFT JOIN plexsphere.nodes AS n ON n.id = r.node_id
    LEFT JOIN plexsphere.domains AS d ON d.id = r.domain_id
    LEFT JOIN plexsphere.departed AS p ON p.object = r.object
),
written AS (
    INSERT INTO plexsphere.audit_rows
        (occurred_at, domain_id, relation, outcome, subject, object, correlation_id, digest)
    SELECT
        s.at,
        s.domain_id,
        s.relation,
        s.outcome,
        s.subject,
        s.object,
        s.correlation_id,
        s.digest
    FROM sent AS s
    ORDER BY s.position
),
-- What was granted to each Node's own agent, by time: workers write their batches in any order. Other
-- callers do not apply a snapshot, and a HEAD, whose row has no digest, gives none to apply.
pulls AS (
    SELECT s.node_id, s.digest, s.at, s.position
    FROM sent AS s
    WHERE s.node_id IS NOT NULL
        AND s.relation = 'node_state.pull'
        AND s.outcome = 'granted'
        AND s.subject = s.object
        AND s.digest IS NOT NULL
),
points AS (
    SELECT b.node_id, b.digest, b.at, b.position
    FROM pulls AS b
    UNION ALL
    SELECT k.node_id, k.digest, e.at, e.position
    FROM plexsphere.node_pulls AS k
    CROSS JOIN LATERAL (VALUES (k.since, -1), (k.granted_at, 0)) AS e (at, position)
    WHERE k.node_id IN (SELECT b.node_id FROM pulls AS b)
),
with_newest AS (
    SELECT o.*, first_value(o.digest) OVER newest AS newest_digest
    FROM points AS o
    WINDOW newest AS (PARTITION BY o.node_id ORDER BY o.at DESC, o.position DESC)
),
counted AS (
    SELECT w.*, count(*) FILTER (WHERE w.digest <> w.newest_digest) OVER newest AS others_since
    FROM with_newest AS w
    WINDOW newest AS (PARTITION BY w.node_id ORDER BY w.at DESC, w.position DESC)
)
INSERT INTO plexsphere.node_pulls (node_id, digest, granted_at, since)
SELECT c.node_id, c.digest, max(c.at), min(c.at)
FROM counted AS c
WHERE c.others_since = 0
GROUP BY c.node_id, c.digest
-- The order in which every writer locks these rows.
ORDER BY c.node_id
ON CONFLICT (node_id) DO UPDATE
SET digest = EXCLUDED.digest, granted_at = EXCLUDED.granted_at, since = EXCLUDED.since;

-- name: audit_settled
-- db/audit_reader.py, _settled, before each query of rows, in a transaction of its own: the seq up to
-- which no transaction can add a row any more. It is the newest one, or the lowest that a transaction
-- in progress has announced (migration 0023). A standby has no locks: ask the primary.
-- No table is read.
WITH newest AS (
    SELECT coalesce(pg_sequence_last_value('plexsphere.audit_rows_seq'), 0) AS seq
),
announced AS (
    SELECT (l.classid::bigint & 65535) << 32 | l.objid::bigint AS seq
    FROM pg_locks AS l
    WHERE l.locktype = 'advisory'
        AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
        AND l.objsubid = 2
        AND l.classid::bigint >> 16 = x'6175'::int
)
-- The newest seq is read first: a transaction that has a lower one has announced itself by then.
SELECT coalesce((SELECT min(a.seq) FROM announced AS a WHERE a.seq <= n.seq), n.seq)
FROM newest AS n;

-- fragment: audit_entries
SELECT
    a.seq,
    a.occurred_at,
    a.domain_id::text,
    a.relation,
    a.outcome,
    a.subject,
    a.object,
    a.correlation_id,
    a.digest
FROM plexsphere.audit_rows AS a

-- fragment: audit_filter
-- NULL passes everything.
(%(relation)s IS NULL OR a.relation = %(relation)s)
AND (%(outcome)s IS NULL OR a.outcome = %(outcome)s)
AND (%(subject)s IS NULL OR a.subject = %(subject)s)
AND (%(object)s IS NULL OR a.object = %(object)s)
AND (%(correlation_id)s IS NULL OR a.correlation_id = %(correlation_id)s)

-- fragment: audit_reader_filter
-- The filter of db/audit_reader.py, AuditFilter.
-- include: audit_filter
AND (%(domain_id)s IS NULL OR a.domain_id = %(domain_id)s::uuid)
AND (%(age)s IS NULL OR a.occurred_at >= now() - %(age)s::interval)

-- name: audit_newest
-- db/audit_reader.py, AuditReader.newest. Not prepared, so that a filter without a value is removed
-- when the statement is planned.
-- Indexes: audit_rows_by_object with a filter on the object, audit_rows_by_domain with one on the
-- Domain, else the primary key, backwards.
-- include: audit_entries
WHERE
    -- include: audit_reader_filter
    AND a.seq <= %(settled)s
ORDER BY a.seq DESC
LIMIT %(limit)s;

-- name: audit_after
-- db/audit_reader.py, AuditReader.after: what came after a seq. As audit_newest, forwards.
-- Indexes: as audit_newest.
-- include: audit_entries
WHERE
    -- include: audit_reader_filter
    AND a.seq > %(after)s
    AND a.seq <= %(settled)s
ORDER BY a.seq
LIMIT %(limit)s;

-- name: audit_summary
-- db/audit_reader.py, AuditReader.summary: rows counted by relation, by subject and by object, each
-- with the outcome, and in all. Not prepared, as audit_newest.
-- Indexes: as audit_newest; with an age of those days only.
WITH counted AS (
    SELECT
        CASE
            WHEN grouping(a.relation) = 0 THEN 'relation'
            WHEN grouping(a.subject) = 0 THEN 'subject'
            WHEN grouping(a.object) = 0 THEN 'object'
            ELSE 'all'
        END AS kind,
        coalesce(a.relation, a.subject, a.object) AS value,
        a.outcome,
        count(*) AS rows,
        max(a.occurred_at) AS newest
    FROM plexsphere.audit_rows AS a
    WHERE
        -- include: audit_reader_filter
    GROUP BY GROUPING SETS (
        (a.relation, a.outcome), (a.subject, a.outcome), (a.object, a.outcome), ()
    )
),
ordered AS (
    SELECT
        c.*,
        row_number() OVER (
            PARTITION BY c.kind ORDER BY c.rows DESC, c.value, c.outcome
        ) AS position
    FROM counted AS c
)
SELECT o.kind, o.value, o.outcome, o.rows, o.newest
FROM ordered AS o
WHERE o.position <= %(limit)s
ORDER BY o.kind, o.position;

-- name: audit_unknown_values
-- db/audit_reader.py, AuditReader.unknown: for each value of a filter whether nothing has it. A
-- filter without a value is false.
-- Indexes: audit_rows_by_object, audit_rows_by_domain, nodes_pkey, domains_pkey; the relation, the
-- outcome and the subject have none.
SELECT
    %(relation)s IS NOT NULL AND NOT EXISTS (
        SELECT FROM plexsphere.audit_rows AS a WHERE a.relation = %(relation)s
    ),
    %(outcome)s IS NOT NULL AND NOT EXISTS (
        SELECT FROM plexsphere.audit_rows AS a WHERE a.outcome = %(outcome)s
    ),
    %(subject)s IS NOT NULL AND NOT EXISTS (
        SELECT FROM plexsphere.audit_rows AS a WHERE a.subject = %(subject)s
    ),
    %(object)s IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM plexsphere.audit_rows AS a WHERE a.object = %(object)s
    )
    AND NOT EXISTS (
        SELECT FROM plexsphere.nodes AS n WHERE n.id = substring(%(object)s FROM '^node:(.*)')::uuid
    ),
    %(domain_id)s IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM plexsphere.audit_rows AS a WHERE a.domain_id = %(domain_id)s::uuid
    )
    AND NOT EXISTS (
        SELECT FROM plexsphere.domains AS d WHERE d.id = %(domain_id)s::uuid
    );

-- name: domain_audit
-- prepare: domain_id uuid, after bigint, settled bigint, limit integer, relation text, outcome text
-- prepare: subject text, object text, correlation_id text, since timestamptz, until timestamptz
-- db/audit_reader.py, PostgresDomainAuditReader.page: a page of the rows of a Domain. A row whose
-- time is outside Python's calendar was written by hand and is left out.
-- Index: audit_rows_by_domain of every day, merged; with since or until of those days only.
SELECT
    a.seq,
    a.occurred_at,
    a.relation,
    a.outcome,
    a.subject,
    a.object,
    a.correlation_id,
    a.digest
FROM plexsphere.audit_rows AS a
WHERE a.domain_id = %(domain_id)s
    AND a.seq > %(after)s
    AND a.seq <= %(settled)s
    AND
    -- include: audit_filter
    AND a.occurred_at >= coalesce(%(since)s, '0001-01-02 00:00:00+00')
    AND a.occurred_at < coalesce(%(until)s, '9999-12-31 00:00:00+00')
ORDER BY a.seq
LIMIT %(limit)s;

-- name: audit_old_days
-- db/audit_retention.py, AuditRetention.old: the first moment that stays, and by partition the number
-- of rows before it. age is an interval; only whole days of UTC are deleted.
-- Index: the primary key of each partition, to count it.
WITH limits AS (
    SELECT
        date_trunc('day', (statement_timestamp() - %(age)s::interval) AT TIME ZONE 'UTC')
            AT TIME ZONE 'UTC' AS since
),
counted AS (
    SELECT a.tableoid, count(*) AS rows
    FROM plexsphere.audit_rows AS a
    WHERE a.occurred_at < (SELECT l.since FROM limits AS l)
    GROUP BY a.tableoid
)
SELECT
    l.since,
    d.day,
    coalesce(n.rows, 0),
    CASE WHEN d.day IS NULL THEN 0 ELSE pg_total_relation_size(d.oid) END
FROM limits AS l
LEFT JOIN (
    SELECT
        c.oid,
        CASE
            WHEN c.relname ~ '^audit_rows_[0-9]{8}$' THEN to_date(right(c.relname, 8), 'YYYYMMDD')
        END AS day
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'plexsphere.audit_rows'::regclass
) AS d ON (d.day + 1)::timestamp AT TIME ZONE 'UTC' <= l.since OR d.day IS NULL
LEFT JOIN counted AS n ON n.tableoid = d.oid
ORDER BY d.day NULLS LAST;

-- name: audit_drop_day
-- db/audit_retention.py, AuditRetention.drop: one attempt at one day (migration 0005). It reads
-- catalogues only.
SELECT plexsphere.drop_audit_day(%(day)s::date);

-- name: audit_delete_default
-- db/audit_retention.py, AuditRetention.delete_default: old rows of the default partition, which has
-- the rows of days without a partition of their own.
-- No index: the default partition is almost empty, so it is read whole.
WITH old AS (
    SELECT s.ctid
    FROM plexsphere.audit_rows_default AS s
    WHERE s.occurred_at < %(since)s
    LIMIT %(limit)s
)
DELETE FROM plexsphere.audit_rows_default AS s
USING old AS o
WHERE s.ctid = o.ctid
RETURNING 1;

-- name: audit_delete_departed
-- db/audit_retention.py, AuditRetention.delete_departed: what is stored about deleted Nodes and
-- Domains, and the last pulls of deleted Nodes. A row that a writer has locked stays until next time.
-- Index: nodes_pkey.
WITH deleted AS (
    DELETE FROM plexsphere.departed AS d
    WHERE d.departed_at < %(since)s
),
without_node AS (
    SELECT p.node_id
    FROM plexsphere.node_pulls AS p
    WHERE NOT EXISTS (SELECT FROM plexsphere.nodes AS n WHERE n.id = p.node_id)
    ORDER BY p.node_id
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plexsphere.node_pulls AS p
USING without_node AS w
WHERE p.node_id = w.node_id;
