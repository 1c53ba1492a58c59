-- db/audit_reader.py, what came after a cursor. As audit_newest.sql, read forwards.
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
WHERE a.seq > %(after)s
    AND (%(relation)s IS NULL OR a.relation = %(relation)s)
    AND (%(outcome)s IS NULL OR a.outcome = %(outcome)s)
    AND (%(subject)s IS NULL OR a.subject = %(subject)s)
    AND (%(object)s IS NULL OR a.object = %(object)s)
    AND (%(correlation_id)s IS NULL OR a.correlation_id = %(correlation_id)s)
    AND (%(domain_id)s IS NULL OR a.domain_id = %(domain_id)s::uuid)
ORDER BY a.seq
LIMIT %(limit)s;
