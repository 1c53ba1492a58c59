"""deploy/postgres/roles.sql: the owner migrates; the service works and cannot change the schema."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import cursor, make_dsn

from db.migrate import expected_version, migrate
from server.dev.postgres import binary

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import OwnPostgres

pytest_plugins = "tests.integration.ledger_fixtures"

ROLES = Path(__file__).resolve().parents[2] / "deploy" / "postgres" / "roles.sql"
NOT_ALLOWED = """
SELECT object FROM (
    SELECT c.oid::regclass::text, CASE
        WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'USAGE')
        WHEN c.relkind = 'v' THEN has_table_privilege(c.oid, 'SELECT')
        ELSE (
            SELECT bool_and(has_table_privilege(c.oid, word))
            FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS word
        )
    END
    FROM pg_class AS c
    WHERE c.relnamespace = 'plexsphere'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v')
    UNION ALL
    SELECT p.oid::regprocedure::text, has_function_privilege(p.oid, 'EXECUTE')
    FROM pg_proc AS p
    WHERE p.pronamespace = 'plexsphere'::regnamespace
) AS found (object, is_allowed)
WHERE NOT is_allowed
"""


def run_roles(dsn: str) -> None:
    subprocess.run(
        [binary("psql"), "--dbname", dsn, "--set", "ON_ERROR_STOP=1", "--file", str(ROLES)],
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def service(ledger_postgres: OwnPostgres) -> Iterator[cursor]:
    """The service's role on a ledger that the owner has migrated; everything is rolled back."""
    dsn = ledger_postgres.fresh_database()
    run_roles(dsn)
    with closing(psycopg2.connect(dsn)) as superuser, superuser, superuser.cursor() as by_superuser:
        for role in ("plexsphere_owner", "plexsphere_service"):
            by_superuser.execute(f"ALTER ROLE {role} PASSWORD 'secret'")
    owner = make_dsn(dsn, user="plexsphere_owner", password="secret")
    assert len(migrate(owner)) == expected_version()
    run_roles(dsn)
    named = make_dsn(dsn, user="plexsphere_service", password="secret")
    with closing(psycopg2.connect(named)) as connection, connection.cursor() as opened:
        yield opened
        connection.rollback()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE plexsphere.another (id int)",
        "ALTER TABLE plexsphere.nodes ADD COLUMN another int",
        "DROP TABLE plexsphere.audit_rows",
        "TRUNCATE plexsphere.outbox",
        "CREATE SCHEMA another",
        "CREATE TEMPORARY TABLE another (id int)",
    ],
)
def test_the_service_cannot_change_the_schema(service: cursor, change: str) -> None:
    service.execute("SAVEPOINT before")
    with pytest.raises(InsufficientPrivilege):
        service.execute(change)
    service.execute("ROLLBACK TO before")


def test_the_service_reads_and_writes_everything_that_migrations_made(service: cursor) -> None:
    service.execute(NOT_ALLOWED)
    assert service.fetchall() == []


def test_migrating_with_nothing_to_do_needs_no_right(service: cursor) -> None:
    dsn = service.connection.info.dsn_parameters
    assert migrate(make_dsn(**dsn, password="secret")) == []


def test_the_service_has_the_days_of_the_audit_made_by_the_owner(service: cursor) -> None:
    service.execute("SELECT plexsphere.make_audit_days('2031-05-01', 2)")
    assert service.fetchone() == (True,)
    service.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'audit_rows_20310502'")
    assert service.fetchone() == ("plexsphere_owner",)
    service.execute("SAVEPOINT before")
    with pytest.raises(InsufficientPrivilege):
        service.execute("SELECT plexsphere.drop_audit_day('2031-05-01')")
    service.execute("ROLLBACK TO before")


def test_the_history_of_timelines_is_read_with_the_rights_of_a_superuser(service: cursor) -> None:
    service.execute(
        "SELECT r.rolsuper, p.prosecdef FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner"
        " WHERE p.proname = 'timeline_history'"
    )
    assert service.fetchone() == (True, True)
    service.execute("SELECT plexsphere.timeline_history(1)")
    assert service.fetchone() == (None,)
