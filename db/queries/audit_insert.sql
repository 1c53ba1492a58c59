-- db/audit.py, a batch of rows in the order they were recorded. Index: audit_rows_pkey.
-- Writers take turns (released at commit), so seq grows in commit order and a follower that asks
-- for what came after the last seq it saw misses nothing.
-- A row sent twice is one row: what became of the first attempt may be unknown. If that attempt lay
-- in a frozen server's buffer, its age was measured too early: the earlier time is the right one.
WITH turn AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(%(turn)s)
)
INSERT INTO plexsphere.audit_rows AS a
    (id, occurred_at, relation, outcome, subject, object, correlation_id, digest)
SELECT
    r.id,
    statement_timestamp() - make_interval(secs => r.age),
    r.relation,
    r.outcome,
    r.subject,
    r.object,
    r.correlation_id,
    r.digest
FROM turn
CROSS JOIN unnest(
    %(id)s::uuid[],
    %(age)s::float8[],
    %(relation)s::text[],
    %(outcome)s::text[],
    %(subject)s::text[],
    %(object)s::text[],
    %(correlation_id)s::text[],
    %(digest)s::text[]
) WITH ORDINALITY AS r (
    id, age, relation, outcome, subject, object, correlation_id, digest, position
)
ORDER BY r.position
ON CONFLICT (id) DO UPDATE
SET occurred_at = LEAST(a.occurred_at, EXCLUDED.occurred_at);
