-- audit_rows in one partition a UTC day, so that what is old enough goes a day at a time; rows that
-- know their Domain; one row a Node that says what it was last granted.

-- Out of the way with all its names, and back again row by row.
CREATE SCHEMA plexsphere_unparted;
ALTER TABLE plexsphere.audit_rows SET SCHEMA plexsphere_unparted;

-- An identity column on a partitioned table needs Postgres 17.
CREATE SEQUENCE plexsphere.audit_rows_seq;

CREATE TABLE plexsphere.audit_rows (
    -- Grows in commit order: writers take turns (db/queries/audit_insert.sql), so a reader that
    -- remembers the last one it saw misses nothing.
    seq bigint NOT NULL DEFAULT nextval('plexsphere.audit_rows_seq'),
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Of the Node or the Domain that the object names; NULL where it names neither.
    domain_id uuid,
    relation text NOT NULL,
    outcome text NOT NULL,
    subject text NOT NULL,
    object text NOT NULL,
    correlation_id text NOT NULL DEFAULT '',
    -- Desired-state digest that was served, on granted only.
    digest text,
    -- A unique key of a partitioned table holds the column it is partitioned by.
    PRIMARY KEY (seq, occurred_at)
)
PARTITION BY RANGE (occurred_at);

ALTER SEQUENCE plexsphere.audit_rows_seq OWNED BY plexsphere.audit_rows.seq;

CREATE INDEX audit_rows_by_object ON plexsphere.audit_rows (object, seq DESC);
CREATE INDEX audit_rows_by_domain ON plexsphere.audit_rows (domain_id, seq);

-- Takes what no day was made for: no insert fails for want of a partition.
CREATE TABLE plexsphere.audit_rows_default PARTITION OF plexsphere.audit_rows DEFAULT;

-- Makes the partition of one UTC day; rows of that day move there from the default partition. Both
-- are locked for no longer than lock_timeout says. The caller has plexsphere.audit_days_turn().
CREATE FUNCTION plexsphere.make_audit_day(day date)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text := to_char(day, '"audit_rows_"YYYYMMDD');
    low timestamptz := day::timestamp AT TIME ZONE 'UTC';
    high timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('plexsphere.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Attaching takes the second lock in any case, to see that no row of the day is in there. Without
    -- the first an insert would wait for it on its way into the default partition, and then fail.
    LOCK TABLE ONLY plexsphere.audit_rows IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE ONLY plexsphere.audit_rows_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
        'CREATE TABLE plexsphere.%I (LIKE plexsphere.audit_rows INCLUDING DEFAULTS)', name);
    EXECUTE format(
        'WITH moved AS (
            DELETE FROM plexsphere.audit_rows_default
            WHERE occurred_at >= $1 AND occurred_at < $2
            RETURNING *
        )
        INSERT INTO plexsphere.%I SELECT * FROM moved', name) USING low, high;
    EXECUTE format(
        'ALTER TABLE plexsphere.audit_rows ATTACH PARTITION plexsphere.%I FOR VALUES FROM (%L) TO (%L)',
        name, low, high);
END;
$$;

-- Whoever makes or drops a day holds this until the transaction ends: two of them would wait for
-- each other's locks on the parent and on the default partition. "auditday" in ASCII.
CREATE FUNCTION plexsphere.audit_days_turn()
RETURNS boolean
LANGUAGE sql
AS $$
    SELECT pg_catalog.pg_try_advisory_xact_lock(x'6175646974646179'::bigint);
$$;

-- Makes the partitions of several days from the first on; whether all of them are there now. False
-- when somebody else is at it, or reads what would have to be locked: ask again later.
CREATE FUNCTION plexsphere.make_audit_days(first_day date, days integer)
RETURNS boolean
LANGUAGE plpgsql
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing date[] := ARRAY (
        SELECT d.day
        FROM (SELECT first_day + offset_days AS day FROM generate_series(0, days - 1) AS offset_days) AS d
        WHERE to_regclass(to_char(d.day, '"plexsphere.audit_rows_"YYYYMMDD')) IS NULL
    );
    day date;
BEGIN
    IF missing = '{}' THEN
        RETURN true;
    END IF;
    IF NOT plexsphere.audit_days_turn() THEN
        RETURN false;
    END IF;
    FOREACH day IN ARRAY missing LOOP
        PERFORM plexsphere.make_audit_day(day);
    END LOOP;
    -- Once a day is often enough for what processes that ended have left behind.
    DELETE FROM plexsphere.audit_writers AS w
    WHERE w.written_at < statement_timestamp() - interval '7 days';
    RETURN true;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN false;
END;
$$;

-- Drops the partition of one day; false when it could not be locked, and then nothing was changed.
-- Readers and writers queue behind the attempt: lock_timeout is what it may cost them.
CREATE FUNCTION plexsphere.drop_audit_day(day date)
RETURNS boolean
LANGUAGE plpgsql
SET lock_timeout = '100ms'
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT plexsphere.audit_days_turn() THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS plexsphere.%I', to_char(day, '"audit_rows_"YYYYMMDD'));
    RETURN true;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN false;
END;
$$;

-- The Domain of a Node or a Domain that is gone, for the rows that still come about it.
CREATE TABLE plexsphere.departed (
    object text PRIMARY KEY,
    domain_id uuid NOT NULL,
    departed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION plexsphere.nodes_departed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO plexsphere.departed (object, domain_id)
    SELECT 'node:' || g.id, g.domain_id
    FROM gone AS g
    ORDER BY g.id
    ON CONFLICT (object) DO UPDATE
    SET domain_id = EXCLUDED.domain_id, departed_at = EXCLUDED.departed_at;
    RETURN NULL;
END;
$$;

CREATE FUNCTION plexsphere.domains_departed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO plexsphere.departed (object, domain_id)
    SELECT 'domain:' || g.id, g.id
    FROM gone AS g
    ORDER BY g.id
    ON CONFLICT (object) DO UPDATE
    SET departed_at = EXCLUDED.departed_at;
    RETURN NULL;
END;
$$;

CREATE TRIGGER nodes_departed
AFTER DELETE ON plexsphere.nodes
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.nodes_departed();

CREATE TRIGGER domains_departed
AFTER DELETE ON plexsphere.domains
REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.domains_departed();

-- The last batch of each audit writer: one that is sent again after an ambiguous commit is known by
-- its number. A row a process; those of processes that ended go when days are made.
CREATE TABLE plexsphere.audit_writers (
    writer uuid PRIMARY KEY,
    batch bigint NOT NULL,
    written_at timestamptz NOT NULL
)
WITH (fillfactor = 50);

-- What a Node was last granted. No key to nodes: that would lock their rows; what is left behind by
-- a Node that is gone goes with the next prune.
CREATE TABLE plexsphere.node_pulls (
    node_id uuid PRIMARY KEY,
    digest text NOT NULL,
    granted_at timestamptz NOT NULL,
    -- When this digest was first granted without another in between.
    since timestamptz NOT NULL
)
-- One update a pull, of no indexed column: with room in the page they stay HOT.
WITH (fillfactor = 50);

DO $$
BEGIN
    PERFORM plexsphere.make_audit_day(d.day)
    FROM (
        SELECT DISTINCT (a.occurred_at AT TIME ZONE 'UTC')::date AS day
        FROM plexsphere_unparted.audit_rows AS a
        WHERE isfinite(a.occurred_at)
    ) AS d;
END;
$$;

INSERT INTO plexsphere.audit_rows
    (seq, occurred_at, domain_id, relation, outcome, subject, object, correlation_id, digest)
SELECT
    a.seq,
    a.occurred_at,
    n.domain_id,
    a.relation,
    a.outcome,
    a.subject,
    a.object,
    a.correlation_id,
    a.digest
FROM plexsphere_unparted.audit_rows AS a
LEFT JOIN plexsphere.nodes AS n ON 'node:' || n.id = a.object;

SELECT setval('plexsphere.audit_rows_seq', coalesce(max(a.seq), 0) + 1, false)
FROM plexsphere_unparted.audit_rows AS a;

-- What Nodes run is known from the first minute on.
INSERT INTO plexsphere.node_pulls (node_id, digest, granted_at, since)
SELECT DISTINCT ON (n.id)
    n.id,
    a.digest,
    a.occurred_at,
    a.occurred_at
FROM plexsphere_unparted.audit_rows AS a
JOIN plexsphere.nodes AS n ON 'node:' || n.id = a.object
WHERE a.relation = 'node_state.pull'
    AND a.outcome = 'granted'
    AND a.digest IS NOT NULL
ORDER BY n.id, a.occurred_at DESC, a.seq DESC;

DROP TABLE plexsphere_unparted.audit_rows;
DROP SCHEMA plexsphere_unparted;
