-- Where each timeline before this one was left, as Postgres keeps it in a file: what a failover lost
-- shows there also after the new primary was restarted. NULL where the owner of the function may not
-- read that file: deploy/postgres/roles.sql gives the function to a superuser.

CREATE FUNCTION plexsphere.timeline_history(timeline integer) RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF timeline > 1 AND has_function_privilege('pg_read_file(text)', 'EXECUTE') THEN
        RETURN pg_read_file('pg_wal/' || lpad(upper(to_hex(timeline)), 8, '0') || '.history');
    END IF;
    RETURN NULL;
EXCEPTION
    WHEN undefined_file OR insufficient_privilege THEN
        RETURN NULL;
END;
$$;
