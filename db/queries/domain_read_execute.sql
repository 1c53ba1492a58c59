-- db/domains.py, PostgresDomainReader.read. See domain_read.sql.
EXECUTE domain_read (%(domain_id)s);
