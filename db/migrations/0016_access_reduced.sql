-- Who holds the stream of a Node must hear at once that the Node lost a relationship or a credential.
-- Transactions that notify commit one after the other in the whole database, so only what takes
-- something away notifies: registrations, grants and heartbeats do not.

CREATE FUNCTION plexsphere.node_access_reduced() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('plexsphere_access', OLD.id::text);
    RETURN NULL;
END;
$$;

CREATE TRIGGER nodes_credentials_ended
AFTER UPDATE OF secret_key_digests, tokens_not_before ON plexsphere.nodes
FOR EACH ROW
WHEN (
    NOT NEW.secret_key_digests @> OLD.secret_key_digests
    OR OLD.tokens_not_before IS DISTINCT FROM NEW.tokens_not_before
)
EXECUTE FUNCTION plexsphere.node_access_reduced();

CREATE TRIGGER nodes_deleted_access
AFTER DELETE ON plexsphere.nodes
FOR EACH ROW EXECUTE FUNCTION plexsphere.node_access_reduced();

-- Once SpiceDB has taken the tuples. The ZedToken is on the Node's row in the same transaction.
CREATE FUNCTION plexsphere.tuples_reduced() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_notify('plexsphere_access', substr(OLD.object, length('node:') + 1));
    RETURN NULL;
END;
$$;

CREATE TRIGGER outbox_tuples_reduced
AFTER UPDATE OF drained_at ON plexsphere.outbox
FOR EACH ROW
WHEN (
    OLD.drained_at IS NULL
    AND NEW.drained_at IS NOT NULL
    AND NEW.object LIKE 'node:%'
    AND jsonb_path_exists(NEW.tuples, '$[*].operation ? (@ != "touch")')
)
EXECUTE FUNCTION plexsphere.tuples_reduced();
