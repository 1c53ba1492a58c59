-- The outbox has what SpiceDB must take, and nothing else. Events are announced at the commit
-- (migration 0017), so a rotation has no row of the outbox any more; nor has an entry, whose row its
-- own statement wrote.

CREATE OR REPLACE FUNCTION plexsphere.rotate_node_key(node uuid, wanted_key bytea, OUT outcome text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    home uuid;
    had_key bytea;
BEGIN
    PERFORM
    FROM plexsphere.domains AS d
    WHERE d.id = (SELECT n.domain_id FROM plexsphere.nodes AS n WHERE n.id = node)
    FOR NO KEY UPDATE;
    SELECT n.domain_id, n.public_key
    INTO home, had_key
    FROM plexsphere.nodes AS n
    WHERE n.id = node;
    IF NOT FOUND THEN
        outcome := 'node_not_found';
    ELSIF had_key = wanted_key THEN
        outcome := 'same';
    ELSIF EXISTS (
        SELECT
        FROM plexsphere.nodes AS n
        WHERE n.domain_id = home
            AND sha256(n.public_key) = sha256(wanted_key)
    ) THEN
        outcome := 'public_key_in_use';
    ELSE
        UPDATE plexsphere.nodes AS n
        SET public_key = wanted_key
        WHERE n.id = node;
        outcome := 'rotated';
    END IF;
END;
$$;
