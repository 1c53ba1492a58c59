-- db/sweeps.py, PostgresSweeps.sweep, once a connection: whether this session is the one that sweeps.
-- The lock goes with the session.
SELECT pg_try_advisory_lock(%(turn)s);
