-- db/outbox.py, before SpiceDB is told of a Domain's or the platform's roles. No table.
-- A Domain's row carries one token for both, and tokens cannot be compared: so the platform is drained
-- while no Domain is, and the token stored last is the latest. Different Domains do not meet.
SELECT
    CASE
        WHEN %(alone)s THEN pg_advisory_xact_lock(%(key)s)
        ELSE pg_advisory_xact_lock_shared(%(key)s)
    END;
