-- db/domain_audit.py, PostgresDomainAuditReader.page. See domain_audit.sql.
EXECUTE domain_audit (
    %(domain_id)s, %(after)s, %(limit)s, %(relation)s, %(outcome)s, %(subject)s, %(object)s,
    %(correlation_id)s, %(since)s, %(until)s
);
