"""A ledger with every block, the body it must become, and ways to break a table of it.

Test modules name this one in ``pytest_plugins``, beside ``ledger_fixtures``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from db.pool import read_pool
from tests.golden import FOLDER, golden
from tests.ledger_sql import run_sql
from tests.ledger_tables import load
from tests.pulls import Answered, Puller

FULL = golden(FOLDER / "everything")
NODE = FULL.pulled["full"]
RIGHT = FULL.body_file("full").read_bytes()
UNAVAILABLE = (503, "datastore_unavailable", b"")
FAULT = (500, None, b"")

# What a read of any row may run into, and what the pull then has to say.
FAULTS = {
    "raises": ("RAISE 'broken'", FAULT),
    "divides by zero": ("RETURN 1 / (random() * 0)", FAULT),
    "is without memory": ("RAISE 'broken' USING ERRCODE = '53200'", UNAVAILABLE),
    "is shut down": ("RAISE 'broken' USING ERRCODE = '57P01'", UNAVAILABLE),
    "is slow": ("PERFORM pg_sleep(60)", UNAVAILABLE),
}
STATEMENT_TIMEOUT = 0.5


@pytest.fixture(scope="module")
def full_dsn(ledger_dsn: str) -> str:
    with (
        closing(psycopg2.connect(ledger_dsn)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        load(cursor, FULL.tables)
    return ledger_dsn


@contextmanager
def pulling(dsn: str, statement_timeout: float = 30.0) -> Iterator[Puller]:
    pool = read_pool(dsn, 1, statement_timeout)
    try:
        yield Puller(pool)
    finally:
        pool.close()


@pytest.fixture
def puller(full_dsn: str) -> Iterator[Puller]:
    """A process that has answered once, so that it holds what it may hold."""
    with pulling(full_dsn) as made:
        assert made.pull(NODE).body == RIGHT
        yield made


def outcome_of(answer: Answered) -> tuple[int, str | None, bytes]:
    return (answer.status, answer.code, answer.body)


@contextmanager
def broken_table(dsn: str, table: str, body: str) -> Iterator[None]:
    """A reader of a row of the table runs `body` first."""
    run_sql(
        dsn,
        f"""
        CREATE FUNCTION plexsphere.fault() RETURNS boolean LANGUAGE plpgsql VOLATILE
        AS $$ BEGIN {body}; RETURN true; END $$;
        ALTER TABLE plexsphere.{table} RENAME TO whole;
        CREATE VIEW plexsphere.{table} AS SELECT * FROM plexsphere.whole WHERE plexsphere.fault();
        """,
    )
    try:
        yield
    finally:
        # Whoever gave up waiting has left a statement behind, and its locks.
        run_sql(
            dsn,
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'PgSleep'
            """,
        )
        run_sql(
            dsn,
            f"""
            DROP VIEW plexsphere.{table};
            ALTER TABLE plexsphere.whole RENAME TO {table};
            DROP FUNCTION plexsphere.fault;
            """,
        )
