"""Whether another Postgres says the same: `python -m tests.golden.check DSN` of an empty database.

Migrates it, loads every golden ledger and pulls; exit 1 and a line for each body that differs.
"""

from __future__ import annotations

import sys
from contextlib import closing

import psycopg2

from db.migrate import migrate
from tests.golden import goldens
from tests.golden.pull import bodies, kept
from tests.ledger_tables import load


def main(dsn: str) -> int:
    migrate(dsn)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        for golden in goldens():
            load(cursor, golden.tables)
    pulled, wanted = bodies(dsn), kept()
    differing = sorted(name for name in wanted if pulled.get(name) != wanted[name])
    for name in differing:
        print(f"differs  {name}")
    print(f"{len(wanted) - len(differing)} of {len(wanted)} bodies are the kept ones")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
