-- db/followers.py: how many seconds ago an evaluator swept last, by the clock that nobody moves; no
-- row where none ever did. One row at most.
SELECT greatest(extract(epoch FROM clock_timestamp() - w.swept_at), 0)::float8
FROM plexsphere.evaluator_watch AS w;
