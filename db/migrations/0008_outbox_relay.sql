-- What following the ledger needs: rows that SpiceDB refuses for good stand aside, a Node's own
-- tuple can be withheld, grants end with their object, and one view says what SpiceDB should hold.

-- Set when SpiceDB called the row's tuples invalid, which no repetition mends: it waits no longer
-- and blocks nobody. Null is "never".
ALTER TABLE plexsphere.outbox ADD COLUMN parked_at timestamptz;
ALTER TABLE plexsphere.outbox ADD COLUMN parked_because text;

-- The relays take the oldest rows of all objects first, and tell how long the oldest one waits.
CREATE INDEX outbox_waiting_by_age ON plexsphere.outbox (seq)
    WHERE drained_at IS NULL AND parked_at IS NULL;

-- Tuples that the rows of the ledger imply and that an operator took back all the same: a Node that
-- is kept, and may not act.
CREATE TABLE plexsphere.withheld_tuples (
    object text COLLATE "C" NOT NULL,
    relation text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (object, relation, subject)
);

-- A trigger, so that no way of deleting a Node or a Domain leaves a role on it.
CREATE FUNCTION plexsphere.grants_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM plexsphere.role_grants AS g
    USING changed AS c
    WHERE g.object = TG_ARGV[0] || c.id;
    DELETE FROM plexsphere.withheld_tuples AS w
    USING changed AS c
    WHERE w.object = TG_ARGV[0] || c.id;
    RETURN NULL;
END;
$$;

CREATE TRIGGER nodes_deleted_grants
AFTER DELETE ON plexsphere.nodes
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.grants_ended('node:');

CREATE TRIGGER domains_deleted_grants
AFTER DELETE ON plexsphere.domains
REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION plexsphere.grants_ended('domain:');

-- Every relationship that SpiceDB should hold by what the ledger says.
CREATE VIEW plexsphere.implied_tuples AS
SELECT
    'node:' || n.id AS object,
    t.relation,
    t.subject
FROM plexsphere.nodes AS n
CROSS JOIN LATERAL (
    VALUES ('agent', 'node:' || n.id), ('domain', 'domain:' || n.domain_id)
) AS t (relation, subject)
WHERE NOT EXISTS (
    SELECT FROM plexsphere.withheld_tuples AS w
    WHERE w.object = 'node:' || n.id
        AND w.relation = t.relation
        AND w.subject = t.subject
)
UNION ALL
SELECT
    'domain:' || d.id,
    'platform',
    'platform:plexsphere'
FROM plexsphere.domains AS d
UNION ALL
SELECT
    g.object,
    g.relation,
    g.subject
FROM plexsphere.role_grants AS g;
