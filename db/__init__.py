"""The ledger: the only room that imports psycopg2 and SQLAlchemy, and holds SQL."""
