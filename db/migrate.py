"""Numbered, forward-only migrations, which ``plexsphere-state migrate`` and the dev stack run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import psycopg2
from psycopg2.extensions import connection

from composer.errors import ComposerError
from db.connections import blocking_connection
from db.errors import is_missing_table
from db.locks import MIGRATIONS
from db.statements import statement

# A process that starts waits this long for the migrations of another one; milliseconds.
LOCK_TIMEOUT_MS = 120_000
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class MigrationRefused(ComposerError):
    """The database and this code disagree about its history; the message says how."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of ``db/migrations``; ``checksum`` is its SHA-256 in hex."""

    version: int
    name: str
    sql: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of ``plexsphere.schema_migrations``."""

    version: int
    name: str
    checksum: str


@cache
def migrations() -> tuple[Migration, ...]:
    """The code's migrations, ascending and without a gap."""
    found = []
    for entry in files("db").joinpath("migrations").iterdir():
        if match := _FILE.fullmatch(entry.name):
            content = entry.read_bytes()
            checksum = hashlib.sha256(content).hexdigest()
            found.append(
                Migration(
                    version=int(match[1]), name=match[2], sql=content.decode(), checksum=checksum
                )
            )
    ordered = tuple(sorted(found, key=lambda migration: migration.version))
    assert [m.version for m in ordered] == list(range(1, len(ordered) + 1)), "a gap in the numbers"
    return ordered


def expected_version() -> int:
    """The version a database must have for this code."""
    return migrations()[-1].version


def schema_version(dsn: str) -> int:
    """The version the database has; 0 when it was never migrated."""
    with _connection(dsn, "reading the schema version") as opened:
        try:
            with opened, opened.cursor() as cursor:
                cursor.execute(statement("schema_version"))
                row = cursor.fetchone()
        except psycopg2.Error as cause:
            if is_missing_table(cause):
                return 0
            raise
    return int(row[0]) if row else 0


def migrate(dsn: str, known: Sequence[Migration] | None = None) -> list[str]:
    """Apply the migrations that the database lacks; their names, oldest first.

    Any number of processes may run it at once: one works, the others wait and find nothing to do.
    Each migration is one transaction. Raises MigrationRefused, before anything is changed, when an
    applied file was edited or the database is newer than the code; DatastoreUnavailable when
    Postgres is not there.
    """
    known = migrations() if known is None else known
    with _connection(dsn, "migrating") as opened:
        _lock(opened)
        with opened, opened.cursor() as cursor:
            cursor.execute(statement("migrations_begin"))
        pending = pending_after(_applied(opened), known)
        for migration in pending:
            _apply(opened, migration)
    return [f"{m.version:04}_{m.name}" for m in pending]


def pending_after(applied: Sequence[Applied], known: Sequence[Migration]) -> list[Migration]:
    """The migrations that are not applied yet. Raises MigrationRefused."""
    by_version = {migration.version: migration for migration in known}
    for row in applied:
        migration = by_version.pop(row.version, None)
        if migration is None:
            raise MigrationRefused(
                f"the database has migration {row.version:04}_{row.name}, which this code does not "
                f"know (its newest is {known[-1].version:04}): run a newer release"
            )
        if migration.checksum != row.checksum:
            raise MigrationRefused(
                f"migration {row.version:04}_{row.name} was applied with other contents: restore "
                f"the file and put the change into a new one"
            )
    return sorted(by_version.values(), key=lambda migration: migration.version)


def _connection(dsn: str, doing: str) -> AbstractContextManager[connection]:
    return blocking_connection(
        dsn,
        doing,
        {"lock_timeout": str(LOCK_TIMEOUT_MS)},
        connect_timeout="2",
        application_name="plexsphere-state migrate",
    )


def _lock(opened: connection) -> None:
    with opened, opened.cursor() as cursor:
        cursor.execute(statement("migrations_lock"), {"lock": MIGRATIONS})
        cursor.execute(statement("migrations_encoding"))
        row = cursor.fetchone()
        if row is None or row[0] != "UTF8":
            found = row[0] if row else "unknown"
            raise MigrationRefused(f"the database's encoding is {found}: create it with UTF8")


def _applied(opened: connection) -> list[Applied]:
    with opened, opened.cursor() as cursor:
        cursor.execute(statement("migrations_applied"))
        return [Applied(*row) for row in cursor.fetchall()]


def _apply(opened: connection, migration: Migration) -> None:
    with opened, opened.cursor() as cursor:
        cursor.execute(migration.sql)
        cursor.execute(
            statement("migrations_record"),
            {
                "version": migration.version,
                "name": migration.name,
                "checksum": migration.checksum,
            },
        )
