-- db/audit_batch.py, once a day a process: see 0005. Catalogues alone.
SELECT plexsphere.make_audit_days(%(first)s::date, %(days)s);
