-- Changes of a Domain's row.

-- NULL until the first change.
ALTER TABLE plexsphere.domains ADD COLUMN updated_at timestamptz;

-- Outcomes: updated, same (every value is as it was), domain_not_found. A NULL keeps the value; the
-- policy is set where sets_policy is true, and three NULLs are the default policy. The slug and the
-- range stay: Nodes have their addresses from the range.
CREATE FUNCTION plexsphere.update_domain(
    changed uuid, wanted_name text, wanted_description text, wanted_region text,
    sets_policy boolean, wanted_interval interval, wanted_stale interval,
    wanted_unreachable interval, time_offset interval,
    OUT outcome text
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = changed
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'domain_not_found';
        RETURN;
    END IF;
    UPDATE plexsphere.domains AS d
    SET
        name = coalesce(wanted_name, d.name),
        description = coalesce(wanted_description, d.description),
        region = coalesce(wanted_region, d.region),
        heartbeat_interval = CASE WHEN sets_policy THEN wanted_interval ELSE d.heartbeat_interval END,
        stale_after = CASE WHEN sets_policy THEN wanted_stale ELSE d.stale_after END,
        unreachable_after = CASE WHEN sets_policy THEN wanted_unreachable ELSE d.unreachable_after END,
        updated_at = statement_timestamp() + time_offset
    WHERE d.id = changed
        AND (
            d.name <> wanted_name
            OR d.description IS DISTINCT FROM coalesce(wanted_description, d.description)
            OR d.region IS DISTINCT FROM coalesce(wanted_region, d.region)
            OR sets_policy AND (
                d.heartbeat_interval IS DISTINCT FROM wanted_interval
                OR d.stale_after IS DISTINCT FROM wanted_stale
                OR d.unreachable_after IS DISTINCT FROM wanted_unreachable));
    outcome := CASE WHEN FOUND THEN 'updated' ELSE 'same' END;
END;
$$;
