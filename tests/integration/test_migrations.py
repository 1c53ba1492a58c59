"""The migrations: numbered, forward-only, safe to start at once, and what schema.sql says."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
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

# Everything a reader of the schema can tell apart, one line each.
CATALOGUE = """
SELECT 'column', format('%s.%s', c.relname, a.attname),
    concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        a.attgenerated, n.collname, pg_get_expr(d.adbin, d.adrelid))
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation n ON n.oid = a.attcollation
WHERE c.relnamespace = 'plexsphere'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
UNION ALL
SELECT 'relation', c.relname, concat_ws(' ', c.relkind, c.reloptions::text, c.relpersistence)
FROM pg_class c WHERE c.relnamespace = 'plexsphere'::regnamespace
UNION ALL
SELECT 'constraint', format('%s.%s', k.conrelid::regclass, k.conname), pg_get_constraintdef(k.oid)
FROM pg_constraint k WHERE k.connamespace = 'plexsphere'::regnamespace
UNION ALL
SELECT 'index', i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'plexsphere'::regnamespace
UNION ALL
SELECT 'trigger', format('%s.%s', t.tgrelid::regclass, t.tgname),
    concat_ws(' ', t.tgenabled, pg_get_triggerdef(t.oid))
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'plexsphere'::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
FROM pg_proc p WHERE p.pronamespace = 'plexsphere'::regnamespace
UNION ALL
SELECT 'view', c.relname, pg_get_viewdef(c.oid)
FROM pg_class c WHERE c.relnamespace = 'plexsphere'::regnamespace AND c.relkind = 'v'
ORDER BY 1, 2
"""


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


def test_schema_sql_is_what_the_migrations_make(fresh_database: FreshDatabase) -> None:
    replayed, written = fresh_database(), fresh_database()
    migrate(replayed)
    run_sql(written, files("db").joinpath("schema.sql").read_text(encoding="utf-8"))
    catalogue = run_sql(replayed, CATALOGUE)
    assert len(catalogue) > 150
    assert run_sql(written, CATALOGUE) == catalogue
