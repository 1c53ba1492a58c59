-- db/audit_reader.py. Not prepared: an unset filter folds away, so a filter on the object finds
-- audit_rows_by_object, one on the Domain audit_rows_by_domain; without, the primary key backwards.
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
WHERE (%(relation)s IS NULL OR a.relation = %(relation)s)
    AND (%(outcome)s IS NULL OR a.outcome = %(outcome)s)
    AND (%(subject)s IS NULL OR a.subject = %(subject)s)
    AND (%(object)s IS NULL OR a.object = %(object)s)
    AND (%(correlation_id)s IS NULL OR a.correlation_id = %(correlation_id)s)
    AND (%(domain_id)s IS NULL OR a.domain_id = %(domain_id)s::uuid)
ORDER BY a.seq DESC
LIMIT %(limit)s;
