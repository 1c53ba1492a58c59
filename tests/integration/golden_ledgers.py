"""All golden ledgers in one database.

Test modules name this one in ``pytest_plugins``, beside ``ledger_fixtures``.
"""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest

from tests.golden import goldens
from tests.ledger_tables import load


def fill(dsn: str, backwards: bool = False) -> str:
    """All golden ledgers, in the order they are written in or in the opposite one."""
    with closing(psycopg2.connect(dsn)) as connection:
        for golden in goldens():
            tables = golden.tables
            if backwards:
                tables = {name: rows[::-1] for name, rows in tables.items()}
            with connection, connection.cursor() as cursor:
                load(cursor, tables)
    return dsn


@pytest.fixture(scope="module")
def filled(ledger_dsn: str) -> str:
    return fill(ledger_dsn)
