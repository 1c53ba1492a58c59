-- Writers of audit rows no longer wait for each other, so seq does not grow in the order of commits.
-- Instead a reader knows up to which seq no row can be added any more.

-- Each statement announces, before its rows get their seqs, the newest seq of that moment: they get
-- higher ones. The announcement is a shared lock, which nobody waits for, until the transaction ends;
-- it ends after the rows are visible. audit_settled (db/queries/audit.sql) reads the lowest one.
-- The key is "au" in ASCII and the 48 lowest bits of the seq.
CREATE FUNCTION plexsphere.announce_audit_rows()
RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    newest constant bigint :=
        coalesce(pg_catalog.pg_sequence_last_value('plexsphere.audit_rows_seq'), 0);
BEGIN
    PERFORM pg_catalog.pg_advisory_xact_lock_shared(
        x'61750000'::int | (newest >> 32)::int,
        newest::bit(32)::int
    );
    RETURN NULL;
END;
$$;

CREATE TRIGGER audit_rows_announced
BEFORE INSERT ON plexsphere.audit_rows
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.announce_audit_rows();

-- A sequence that has given nothing yet has no last value.
SELECT nextval('plexsphere.audit_rows_seq');

-- As in migration 0012, without the lock.
CREATE OR REPLACE FUNCTION plexsphere.record_write(
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
