-- The last bodies that each Node was served, for `fleet history`: only where PLEXSPHERE_HISTORY says
-- so. They go with their Node: what a Node that is gone should have run is nobody's any more.

CREATE TABLE plexsphere.node_bodies (
    node_id uuid NOT NULL REFERENCES plexsphere.nodes (id) ON DELETE CASCADE,
    digest text COLLATE "C" NOT NULL,
    -- When this digest was first granted after another one, the last time that happened.
    served_at timestamptz NOT NULL,
    -- Of the body as it was sent.
    bytes integer NOT NULL,
    -- zlib; null where it was too large to be kept.
    body bytea,
    PRIMARY KEY (node_id, digest)
);

-- It is compressed when it comes.
ALTER TABLE plexsphere.node_bodies ALTER COLUMN body SET STORAGE EXTERNAL;
