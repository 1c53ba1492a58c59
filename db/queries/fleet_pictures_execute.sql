-- db/fleet_pictures.py, LedgerPictures.of_domain. See fleet_pictures.sql.
EXECUTE fleet_pictures (%(domain_id)s);
