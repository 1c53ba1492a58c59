-- The outbox follows its objects by numbers: a write to SpiceDB that the network delivers late, after
-- a later one, is refused.

-- The number of the last change of each object in SpiceDB. It outlives the object.
CREATE TABLE plexsphere.fences (
    object text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL
)
-- One update a change, of no indexed column: with room in the page they stay HOT.
WITH (fillfactor = 70);

-- Changes of roles are sent before Nodes that were registered or deleted.
CREATE INDEX outbox_roles_waiting ON plexsphere.outbox (object, seq)
    WHERE drained_at IS NULL AND parked_at IS NULL AND type NOT IN ('peer_added', 'peer_removed');
