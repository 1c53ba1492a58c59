"""The ledger: the only room that imports psycopg2, and holds SQL."""
