-- db/pool.py, before a connection that lay idle is used, and db/health.py.
SELECT 1;
