-- db/domain_audit.py, a page of a Domain's rows. $1 Domain, $2 the last seq already seen, $3 how many,
-- then the filters, NULL where there is none. Index: audit_rows_by_domain, of every day merged; with
-- from or to, of those days alone. What is no moment in Python's calendar was written by hand.
PREPARE domain_audit
    (uuid, bigint, integer, text, text, text, text, text, timestamptz, timestamptz) AS
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
WHERE a.domain_id = $1
    AND a.seq > $2
    AND ($4 IS NULL OR a.relation = $4)
    AND ($5 IS NULL OR a.outcome = $5)
    AND ($6 IS NULL OR a.subject = $6)
    AND ($7 IS NULL OR a.object = $7)
    AND ($8 IS NULL OR a.correlation_id = $8)
    AND a.occurred_at >= coalesce($9, '0001-01-02 00:00:00+00')
    AND a.occurred_at < coalesce($10, '9999-12-31 00:00:00+00')
ORDER BY a.seq
LIMIT $3;
