"""Whole tables by COPY, for samples and fleets, and the first tuples of a development SpiceDB.

On a blocking connection without a deadline: this is for loading a ledger, not for requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from psycopg2 import sql
from psycopg2.extensions import cursor

from db.connections import blocking_connection
from db.statements import statement

ROWS_PER_CHUNK = 1000
# What COPY's text format reserves; in a field they are escaped.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of ``plexsphere.<table>``; a value is None, bytes, or printed as Postgres reads it."""

    table: str
    columns: tuple[str, ...]
    rows: Iterable[tuple[object, ...]]


def copy_rows(
    dsn: str, tables: Iterable[TableRows], progress: Callable[[int], None] = lambda rows: None
) -> int:
    """Load all tables in one transaction, in the given order; the number of rows.

    ``progress`` gets the number of rows of each part that was sent. Raises DatastoreUnavailable or
    ComposerError, and then nothing was loaded.
    """
    total = 0
    with _transaction(dsn, "loading rows") as opened:
        for table in tables:
            source = _Chunks(table.rows, progress)
            opened.copy_expert(_copy_statement(table), source)
            total += source.sent
    return total


def node_ids(dsn: str) -> list[str]:
    """The id of every Node of the ledger, ascending."""
    with _transaction(dsn, "reading node ids") as opened:
        opened.execute(statement("node_ids"))
        return [row[0] for row in opened.fetchall()]


def implied_tuples(dsn: str) -> list[tuple[str, str, str]]:
    """Every (resource, relation, subject) that SpiceDB must have by the ledger."""
    with _transaction(dsn, "reading what SpiceDB should hold") as opened:
        opened.execute(statement("implied_tuples"))
        return [(row[0], row[1], row[2]) for row in opened.fetchall()]


def last_changes(dsn: str) -> list[tuple[str, int]]:
    """Every object with the number of its last change, for a SpiceDB that starts empty: a write
    that is delivered late must be refused there too."""
    with _transaction(dsn, "reading the numbers of last changes") as opened:
        opened.execute(statement("last_changes"))
        return [(row[0], row[1]) for row in opened.fetchall()]


def forget_authz_tokens(dsn: str) -> None:
    """Remove the ZedTokens: those of another SpiceDB do not apply to one that starts empty."""
    with _transaction(dsn, "forgetting ZedTokens") as opened:
        opened.execute(statement("forget_authz_tokens"))


def forget_events(dsn: str) -> None:
    """Remove the events of a ledger that was just loaded: nobody holds an earlier pull of it."""
    with _transaction(dsn, "forgetting events") as opened:
        opened.execute(statement("forget_events"))


@contextmanager
def _transaction(dsn: str, doing: str) -> Iterator[cursor]:
    with blocking_connection(dsn, doing) as opened, opened, opened.cursor() as used:
        yield used


def _copy_statement(table: TableRows) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier("plexsphere", table.table),
        sql.SQL(", ").join(map(sql.Identifier, table.columns)),
    )


class _Chunks:
    """The file that COPY reads; it never holds more than one chunk of rows."""

    def __init__(self, rows: Iterable[tuple[object, ...]], progress: Callable[[int], None]) -> None:
        self._lines: Iterator[bytes] = (_line(row) for row in rows)
        self._progress = progress
        self._rest = b""
        self.sent = 0

    def readline(self, size: int = 8192) -> bytes:
        """psycopg2 requires it of a file; COPY does not call it."""
        return self.read(size)

    def read(self, size: int = 8192) -> bytes:
        if not self._rest:
            chunk = list(islice(self._lines, ROWS_PER_CHUNK))
            self._rest = b"".join(chunk)
            self.sent += len(chunk)
            if chunk:
                self._progress(len(chunk))
        head, self._rest = self._rest[:size], self._rest[size:]
        return head


def _line(row: tuple[object, ...]) -> bytes:
    return "\t".join(map(_field, row)).encode() + b"\n"


def _field(value: object) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    return str(value).translate(_ESCAPES)
