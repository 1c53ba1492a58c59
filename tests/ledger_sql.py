"""Direct SQL for tests that look at, or break, the ledger behind the service's back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg2


def run_sql(dsn: str, sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """One statement on a connection of its own; its rows, if it has any."""
    connection = psycopg2.connect(dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def audit_rows(dsn: str, correlation_id: str, expected: int = 1) -> list[tuple[Any, ...]]:
    """The rows of one exchange, once as many are visible as expected (or the time is up)."""
    with polling(dsn) as look:
        for _ in range(100):
            rows = look(
                "SELECT relation, outcome, subject, object, digest FROM plexsphere.audit_rows"
                " WHERE correlation_id = %s ORDER BY occurred_at",
                (correlation_id,),
            )
            if len(rows) >= expected:
                break
            time.sleep(0.02)
    return rows


@contextmanager
def polling(dsn: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """A function for one statement after another on one connection: to connect costs many looks."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True

    def look(sql: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, arguments or None)
            return cursor.fetchall()

    with closing(connection):
        yield look
