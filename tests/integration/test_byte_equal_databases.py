"""Two pulls are byte-equal whatever the database: its collation, its settings, its rows on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from db.migrate import migrate
from tests.golden.pull import bodies, kept
from tests.integration.golden_ledgers import fill
from tests.ledger_sql import run_sql
from tests.ledger_tables import TABLES

pytest_plugins = ("tests.integration.ledger_fixtures", "tests.integration.golden_ledgers")


# Not every build has every one; a Postgres with ICU has all that sort unlike code points.
COLLATIONS = {
    "C": "LOCALE 'C'",
    "UTF-8 of the operating system": "LOCALE 'C.UTF-8'",
    "built in": "LOCALE 'C' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'",
    "built in, full": "LOCALE 'C' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'",
    "American": "LOCALE 'en_US.UTF-8'",
    "German by ICU, numbers as such": "LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de-u-kn-true'",
}


def made_with(dsn: str, name: str, collation: str) -> str | None:
    """The DSN of a database with this collation; None where this Postgres does not have it."""
    with closing(psycopg2.connect(make_dsn(dsn, dbname="postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            try:
                cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0 {collation}")
            except psycopg2.Error:
                return None
    made = str(make_dsn(dsn, dbname=name))
    migrate(made)
    return fill(made)


def test_another_collation_says_the_same(filled: str) -> None:
    base = parse_dsn(filled)["dbname"]
    compared = []
    for number, (name, collation) in enumerate(COLLATIONS.items()):
        made = made_with(filled, f"{base}_collation_{number}", collation)
        if made is not None:
            assert bodies(made) == kept(), name
            compared.append(name)
    assert len(compared) >= 2


SETTINGS = [
    "TimeZone = 'America/St_Johns'",
    "DateStyle = 'German, DMY'",
    "IntervalStyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "extra_float_digits = -15",
    "client_encoding = 'LATIN1'",
    "standard_conforming_strings = off",
    "search_path = 'pg_temp'",
    "default_transaction_isolation = 'serializable'",
    "lc_numeric = 'C.UTF-8'",
]


@pytest.mark.parametrize("setting", SETTINGS)
def test_other_defaults_of_the_database_say_the_same(filled: str, setting: str) -> None:
    database = parse_dsn(filled)["dbname"]
    run_sql(filled, f"ALTER DATABASE {database} SET {setting}")
    try:
        assert bodies(filled) == kept()
    finally:
        run_sql(filled, f"ALTER DATABASE {database} RESET ALL")


SHUFFLES = {
    "rewritten": [f"VACUUM FULL plexsphere.{table}" for table in TABLES],
    "clustered": [
        "CLUSTER plexsphere.nodes USING nodes_by_domain",
        "CLUSTER plexsphere.node_state_entries USING node_state_entries_pkey",
        "CLUSTER plexsphere.policy_compiled_ruleset USING policy_compiled_ruleset_pkey",
        "CLUSTER plexsphere.bridge_relay_assignments USING bridge_relay_assignments_by_peer",
    ],
    # A new version of a row lands behind the others.
    "updated one by one, at random": [
        f"""
        DO $$
        DECLARE place tid;
        BEGIN
            FOR place IN SELECT ctid FROM plexsphere.{table} ORDER BY random() LOOP
                UPDATE plexsphere.{table} SET {column} = {column} WHERE ctid = place;
            END LOOP;
        END
        $$
        """
        for table, column in {
            "nodes": "name",
            "policy_compiled_ruleset": "compiled_at",
            "node_state_entries": "updated_at",
            "bridge_relay_assignments": "created_at",
            "bridge_user_access_providers": "interface_name",
            "bridge_ingress_rules": "sni_host",
            "bridge_site_to_site_tunnels": "kind",
        }.items()
    ],
    "without statistics": ["DELETE FROM pg_statistic"],
    "with statistics": ["ANALYZE"],
    "without secondary indexes": [
        "DROP INDEX plexsphere.nodes_by_domain",
        "DROP INDEX plexsphere.bridge_relay_assignments_by_peer",
    ],
}


@pytest.fixture(scope="module")
def shuffled(filled: str) -> Iterator[str]:
    """A copy that may be turned over."""
    name = parse_dsn(filled)["dbname"] + "_shuffled"
    other = make_dsn(filled, dbname="postgres")
    command(other, [f"CREATE DATABASE {name} TEMPLATE {parse_dsn(filled)['dbname']}"])
    yield str(make_dsn(filled, dbname=name))


def command(dsn: str, commands: Sequence[str]) -> None:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for text in commands:
                cursor.execute(text)


def places(dsn: str) -> list[tuple[object, ...]]:
    """Where the rows of two tables lie."""
    return run_sql(
        dsn,
        "SELECT id::text, ctid::text FROM plexsphere.nodes UNION ALL "
        "SELECT node_id::text || key, ctid::text FROM plexsphere.node_state_entries ORDER BY 1",
    )


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_another_order_on_disk_says_the_same(shuffled: str, shuffle: str) -> None:
    command(shuffled, SHUFFLES[shuffle])
    assert bodies(shuffled) == kept()


def test_rows_that_came_in_the_opposite_order_say_the_same(
    filled: str, ledger_postgres: object
) -> None:
    backwards = made_with_rows_backwards(filled)
    assert places(backwards) != places(filled)
    assert bodies(backwards) == kept()


def made_with_rows_backwards(dsn: str) -> str:
    name = parse_dsn(dsn)["dbname"] + "_backwards"
    command(make_dsn(dsn, dbname="postgres"), [f"CREATE DATABASE {name} TEMPLATE template0"])
    made = str(make_dsn(dsn, dbname=name))
    migrate(made)
    return fill(made, backwards=True)
