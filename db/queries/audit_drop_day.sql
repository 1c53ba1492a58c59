-- db/audit_retention.py, one attempt at one day: see 0005.
SELECT plexsphere.drop_audit_day(%(day)s::date);
