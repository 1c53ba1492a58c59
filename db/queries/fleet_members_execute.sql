-- db/fleet_members.py. See fleet_members.sql.
EXECUTE fleet_members (%(slugs)s::text[], %(ranges)s::cidr[]);
