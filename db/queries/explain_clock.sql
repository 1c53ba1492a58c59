-- db/explain.py, for doctor: Postgres' clock, in Unix seconds.
SELECT extract(epoch FROM clock_timestamp())::float8;
