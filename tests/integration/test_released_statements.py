"""An instance of the release before goes on while the ledger is migrated: every statement that it
sends still finds its functions, tables and columns.

``tests/released`` has the queries of the newest release, a copy of db/queries that is made with it.
Before the first release the queries of now stand for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from psycopg2.errors import (
    AmbiguousFunction,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedObject,
    UndefinedTable,
)

from db import statements
from db.statements import Prepared, Query, parse, statement

pytest_plugins = "tests.integration.ledger_fixtures"
ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "tests" / "released"
MISSING = (
    *(AmbiguousFunction, UndefinedColumn, UndefinedFunction),
    *(UndefinedObject, UndefinedTable),
)
PARAMETER = re.compile(r"%\((\w+)\)s")


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Query]]:
    """The queries of the release before, in place of ours."""
    folder = RELEASED if RELEASED.is_dir() else ROOT / "db" / "queries"
    found = {
        query.name: query
        for file in folder.glob("*.sql")
        for query in parse(file.name, file.read_text(encoding="utf-8"))
    }
    monkeypatch.setattr(statements, "queries", lambda: found)
    _forget_texts()
    found |= {name: _with_parameters(query) for name, query in found.items()}
    yield found
    _forget_texts()


def _forget_texts() -> None:
    statement.cache_clear()
    statements._prepare.cache_clear()


def _with_parameters(query: Query) -> Query:
    """A query that no connection prepares declares none; Postgres finds out their types."""
    names = PARAMETER.findall(statement(query.name))
    return replace(query, parameters=query.parameters or dict.fromkeys(names, "unknown"))


def unfound(cursor: psycopg2.extensions.cursor, queries: dict[str, Query]) -> dict[str, str]:
    """The statements that name something that the ledger does not have, and what."""
    found = {}
    for query in queries.values():
        if query.is_fragment:
            continue
        cursor.execute("SAVEPOINT before")
        try:
            cursor.execute(Prepared(query.name).prepare)
        except MISSING as error:
            found[query.name] = str(error).splitlines()[0]
        except psycopg2.Error:  # not a statement that can be prepared, or types left open
            pass
        cursor.execute("ROLLBACK TO SAVEPOINT before; DEALLOCATE ALL")
    return found


def test_the_ledger_has_what_the_release_before_asks_for(
    ledger_dsn: str, released: dict[str, Query]
) -> None:
    connection = psycopg2.connect(ledger_dsn)
    try:
        with connection.cursor() as cursor:
            assert unfound(cursor, released) == {}
            cursor.execute("DROP FUNCTION plexsphere.rotate_node_key")
            cursor.execute("ALTER TABLE plexsphere.domains RENAME COLUMN slug TO short_name")
            found = unfound(cursor, released)
    finally:
        connection.rollback()
        connection.close()
    assert any("plexsphere.rotate_node_key" in text for text in found.values())
    assert any("slug" in text for text in found.values())
