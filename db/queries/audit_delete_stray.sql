-- db/audit_retention.py: rows of days that no partition was made for, some at a time. The default
-- partition is all but empty, so it is read whole.
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
