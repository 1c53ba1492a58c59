-- db/fleet.py, PostgresFleet.of_domain. See fleet_of_domain.sql.
EXECUTE fleet_of_domain (%(domain_id)s);
