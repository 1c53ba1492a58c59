-- db/heartbeats.py, PostgresHeartbeats.heartbeat. See node_heartbeat.sql.
EXECUTE node_heartbeat (%(node_id)s, %(client_now)s, %(max_skew)s, %(ahead)s, %(decided_at)s);
