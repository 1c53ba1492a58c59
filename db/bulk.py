"""Whole tables at once, by COPY: what loads samples and fleets.

On a plain blocking connection without a deadline: this is for loading a ledger, not for requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor

from db.statements import statement
from db.table_rows import TableRows

ROWS_PER_CHUNK = 1000
# What COPY's text format reserves; in a field they are escaped.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def copy_rows(
    dsn: str, tables: Iterable[TableRows], progress: Callable[[int], None] = lambda rows: None
) -> int:
    """Loads all tables in one transaction, in the order given; the number of rows.

    `progress` is told how many more rows went out. Raises DatastoreUnavailable or ComposerError,
    and then nothing was loaded.
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
    """Every (resource, relation, subject) that SpiceDB should hold by what the ledger says."""
    with _transaction(dsn, "reading what SpiceDB should hold") as opened:
        opened.execute(statement("implied_tuples"))
        return [(row[0], row[1], row[2]) for row in opened.fetchall()]


def forget_authz_tokens(dsn: str) -> None:
    """For a SpiceDB that starts empty: tokens of the one before it say nothing about it."""
    with _transaction(dsn, "forgetting ZedTokens") as opened:
        opened.execute(statement("forget_authz_tokens"))


@contextmanager
def _transaction(dsn: str, doing: str) -> Iterator[cursor]:
    try:
        with (
            closing(psycopg2.connect(dsn)) as connection,
            connection,
            connection.cursor() as opened,
        ):
            yield opened
    except psycopg2.Error as cause:
        # Only now: it imports SQLAlchemy, which a start of the development stack can do without.
        from db.errors import translated

        raise translated(doing, cause) from cause


def _copy_statement(table: TableRows) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier("plexsphere", table.table),
        sql.SQL(", ").join(map(sql.Identifier, table.columns)),
    )


class _Chunks:
    """The file that COPY reads: it never holds more than a chunk of rows."""

    def __init__(self, rows: Iterable[tuple[object, ...]], progress: Callable[[int], None]) -> None:
        self._lines: Iterator[bytes] = (_line(row) for row in rows)
        self._progress = progress
        self._rest = b""
        self.sent = 0

    def readline(self) -> bytes:
        """Part of what psycopg2 asks a file to be; COPY does not call it."""
        return self.read(8192)

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
