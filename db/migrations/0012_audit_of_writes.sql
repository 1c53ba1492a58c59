-- The audit row of a write is in the transaction of the write.

-- Writes the row of a granted write; a NULL relation writes nothing. It must be called after the
-- writer has locked its rows: every writer of audit rows waits for one lock until the transaction
-- before it ends, so that seq grows in the order of commits. The Domain is that of the object, or the
-- one that a deleted object had, as in audit_insert. "auditrow" in ASCII (db/locks.py).
CREATE FUNCTION plexsphere.record_write(
    relation text, subject text, object text, correlation_id text
)
RETURNS void
LANGUAGE plpgsql
STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind constant text := split_part(object, ':', 1);
    object_id constant uuid := split_part(object, ':', 2);
BEGIN
    PERFORM pg_advisory_xact_lock(x'6175646974726F77'::bigint);
    INSERT INTO plexsphere.audit_rows
        (domain_id, relation, outcome, subject, object, correlation_id)
    VALUES (
        coalesce(
            CASE kind
                WHEN 'node' THEN (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = object_id)
                ELSE (SELECT d.id FROM plexsphere.domains AS d WHERE d.id = object_id)
            END,
            (SELECT p.domain_id FROM plexsphere.departed AS p WHERE p.object = record_write.object)
        ),
        record_write.relation,
        'granted',
        record_write.subject,
        record_write.object,
        record_write.correlation_id
    );
END;
$$;
