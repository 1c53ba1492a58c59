"""The settings of a role, a database or a shell change no session of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from composer.errors import DatastoreUnavailable
from db.connections import ReadSession, SingleConnection, WriteSession, blocking_connection
from db.dsn import PINNED
from db.pool import read_pool, write_pool
from tests.ledger_sql import run_sql
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"

FOREIGN = {
    "default_transaction_isolation": "'repeatable read'",
    "default_transaction_deferrable": "on",
    "TimeZone": "'Asia/Kathmandu'",
    "DateStyle": "'SQL, DMY'",
    "IntervalStyle": "'iso_8601'",
    "bytea_output": "'escape'",
    "extra_float_digits": "-15",
    "search_path": "'pg_temp, public'",
    "default_transaction_read_only": "on",  # last: it refuses the next ALTER
}
SHOWN = "SELECT current_setting(%(name)s)"


@pytest.fixture
def foreign_dsn(migrated_database: FreshDatabase) -> str:
    dsn = migrated_database()
    name = parse_dsn(dsn)["dbname"]
    for setting, value in FOREIGN.items():
        run_sql(dsn, f"ALTER DATABASE {name} SET {setting} = {value}")
    return dsn


@contextmanager
def sessions(dsn: str, kind: str) -> Iterator[Any]:
    """Runs a statement with arguments on a session of a kind."""
    if kind == "COPY and migrations":
        with blocking_connection(dsn, "testing") as opened, opened.cursor() as cursor:

            def run(sql: str, arguments: dict[str, str]) -> Any:
                cursor.execute(sql, arguments)
                return cursor.fetchall()

            yield run
        return
    if kind in ("read", "write"):
        access = ReadSession if kind == "read" else WriteSession
        owner: Any = SingleConnection(dsn, access, application_name="t")
    else:
        pools = {"read pool": read_pool, "write pool": write_pool}
        extra = {"lock_timeout": 1.0} if kind == "write pool" else {}
        owner = pools[kind](dsn, size=1, statement_timeout=5.0, **extra)
    with closing(owner), owner.session(in_time()) as session:
        yield session.run


@pytest.mark.parametrize(
    "kind", ["read pool", "write pool", "read", "write", "COPY and migrations"]
)
def test_every_kind_of_session_has_the_pinned_settings(foreign_dsn: str, kind: str) -> None:
    with sessions(foreign_dsn, kind) as run:
        names = FOREIGN.keys() - {"default_transaction_read_only"}
        shown = {name: run(SHOWN, {"name": name})[0][0] for name in names}
        read_only = run(SHOWN, {"name": "transaction_read_only"})[0][0]
    assert shown == PINNED
    assert read_only == ("on" if kind.startswith("read") else "off")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dbname": "nowhere"}, "it has no such database"),
        ({"user": "nobody"}, "it "),
        ({"password": "hunter2"}, "it refuses the password of the role"),
        ({"sslmode": "require"}, "the DSN demands TLS, and it has none"),
        ({"port": "1"}, "nothing listens there"),
    ],
)
def test_a_refused_connection_says_why_and_quotes_nothing(
    ledger_dsn: str, changes: dict[str, str], reason: str
) -> None:
    wrong = str(make_dsn(ledger_dsn, **changes))
    connection = SingleConnection(wrong, ReadSession, application_name="t")
    with closing(connection), pytest.raises(DatastoreUnavailable) as refused:
        connection.run("ping", {}, in_time())
    assert reason in str(refused.value)
    (secret,) = changes.values()
    assert secret not in str(refused.value).replace(reason, "")
