-- The comparison of SpiceDB with the ledger that the relay makes at intervals.

CREATE TABLE plexsphere.tuple_comparison (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    begun_at timestamptz,
    -- Of the last comparison that ended: when, how long it took, the tuples that the ledger implied
    -- and those that differed. mended counts the tuples of all comparisons.
    ended_at timestamptz,
    seconds float8 NOT NULL DEFAULT 0,
    tuples bigint NOT NULL DEFAULT 0,
    differences bigint NOT NULL DEFAULT 0,
    mended bigint NOT NULL DEFAULT 0
);

INSERT INTO plexsphere.tuple_comparison DEFAULT VALUES;
