"""db/schema.sql is the ledger as the migrations leave it. On the embedded server only: another
version of pg_dump prints the same schema in another form."""

from __future__ import annotations

from db.migrate import migrate
from tests.golden.schema import SCHEMA, dumped
from tests.integration.ledger_fixtures import FreshDatabase
from tests.ledger_sql import run_sql

pytest_plugins = "tests.integration.ledger_fixtures"


def test_the_schema_file_is_what_the_migrations_make(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    migrate(dsn)
    assert dumped(dsn) == SCHEMA.read_text(encoding="utf-8"), "run `make schema`"


def test_another_schema_is_another_file(fresh_database: FreshDatabase) -> None:
    dsn = fresh_database()
    migrate(dsn)
    run_sql(dsn, "ALTER INDEX plexsphere.nodes_by_domain RENAME TO nodes_of_domain")
    assert dumped(dsn) != SCHEMA.read_text(encoding="utf-8")
