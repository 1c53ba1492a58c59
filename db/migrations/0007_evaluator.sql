-- When the reachability evaluator last looked, and since when it has done so without a pause: one
-- row, which the elected evaluator writes with every sweep.

CREATE TABLE plexsphere.evaluator_watch (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    -- Silence counts from here on, in the time that tests may move; -infinity: no pause is known.
    watching_since timestamptz NOT NULL,
    -- By Postgres' own clock, which nobody moves: what passes here while nobody sweeps is a pause.
    swept_at timestamptz NOT NULL
);
