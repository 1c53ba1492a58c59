-- The service may have a role without the right to make tables: the next days of the audit are made
-- with the rights of the ledger's owner. The function sets its search path already.
ALTER FUNCTION plexsphere.make_audit_days(date, integer) SECURITY DEFINER;
