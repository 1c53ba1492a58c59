-- db/migrate.py: the ledger's text is sorted by code point, which UTF8 alone makes of bytes.
SELECT current_setting('server_encoding');
