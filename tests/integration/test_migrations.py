"""The migrations: numbered, forward-only, safe to start at once."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg2
import pytest

from composer.errors import ComposerError, DatastoreUnavailable
from db.migrate import Migration, MigrationRefused, expected_version, migrate, migrations
from db.migrate import schema_version as version_of
from tests.ledger_sql import run_sql

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"

NAMES = [f"{migration.version:04}_{migration.name}" for migration in migrations()]


def further(sql: str, name: str = "further") -> list[Migration]:
    """The code's migrations and one more."""
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    return [*migrations(), Migration(expected_version() + 1, name, sql, checksum)]


def test_a_fresh_database_gets_every_migration_in_order(fresh_database: FreshDatabase) -> None:
    assert migrate(fresh_database()) == NAMES


def test_a_second_run_finds_nothing_to_do(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    migrate(dsn)
    assert migrate(dsn) == []


def test_the_version_is_that_of_the_newest_migration(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    before = version_of(dsn)
    migrate(dsn)
    assert (before, version_of(dsn)) == (0, expected_version())


def test_of_starters_at_once_one_works_and_all_succeed(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    with ThreadPoolExecutor(12) as starters:
        applied = list(starters.map(lambda _: migrate(dsn), range(12)))
    assert sorted(applied, key=len)[-1] == NAMES
    assert sum(map(len, applied)) == len(NAMES)


def test_an_edited_file_is_refused_by_name(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    migrate(dsn)
    first, *others = migrations()
    with pytest.raises(MigrationRefused, match="0001_domains_and_nodes"):
        migrate(dsn, [replace(first, checksum="0" * 64), *others])


def test_a_database_newer_than_the_code_is_refused_by_name(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    migrate(dsn, further("SELECT 1", "from_the_future"))
    with pytest.raises(MigrationRefused, match="from_the_future"):
        migrate(dsn)


def test_a_refusal_changes_nothing(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    migrate(dsn)
    first, *others = further("CREATE TABLE plexsphere.never ()")
    with pytest.raises(MigrationRefused):
        migrate(dsn, [replace(first, checksum="0" * 64), *others])
    assert version_of(dsn) == expected_version()


def test_a_failing_migration_leaves_nothing_of_itself(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    with pytest.raises(ComposerError):
        migrate(dsn, further("CREATE TABLE plexsphere.half (); SELECT 1 / 0"))
    left = run_sql(dsn, "SELECT to_regclass('plexsphere.half')")
    assert (left, version_of(dsn)) == ([(None,)], expected_version())


def test_a_failing_migration_can_be_mended_and_run_again(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    with pytest.raises(ComposerError):
        migrate(dsn, further("SELECT 1 / 0"))
    assert migrate(dsn, further("SELECT 1")) == [f"{expected_version() + 1:04}_further"]


def test_a_database_in_another_encoding_is_refused(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    name = psycopg2.extensions.parse_dsn(dsn)["dbname"] + "_ascii"
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0")
    connection.close()
    with pytest.raises(MigrationRefused, match="UTF8"):
        migrate(psycopg2.extensions.make_dsn(dsn, dbname=name))


def test_a_server_that_is_not_there_is_unavailable(fresh_database: FreshDatabase) -> None:
    dsn = psycopg2.extensions.make_dsn(fresh_database(), port=1)
    with pytest.raises(DatastoreUnavailable):
        migrate(dsn)


def test_no_error_says_the_password(fresh_database: FreshDatabase) -> None:
    dsn = psycopg2.extensions.make_dsn(fresh_database(), password="hunter2")
    with pytest.raises(ComposerError) as caught:
        migrate(dsn)
    assert "hunter2" not in str(caught.value)
