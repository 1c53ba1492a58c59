-- A function with a setting of its own is planned apart from the statement that calls it. Without
-- one, these become parts of the statements of announce_changes, whose plans are kept: a
-- registration costs an eighth less of Postgres' CPU. That function sets the path for them too.

ALTER FUNCTION plexsphere.shown_peers(uuid[]) RESET ALL;
ALTER FUNCTION plexsphere.shown_blocks(uuid[], uuid[], uuid[]) RESET ALL;
