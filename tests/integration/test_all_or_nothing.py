"""All or nothing: a fault in any row set or block is the declared refusal, never a 200 with less.

The database is this module's own, because its tests break it. After each fault the very same
process answers the very same bytes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, cast

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from composer.deadline import Deadline
from db.connections import Row
from db.pool import ReadPool
from db.statements import Prepared
from server.dev.stack import Stack
from tests.client import Reply, ask, pull_path
from tests.golden import FOLDER, golden
from tests.integration.cutting_proxy import CuttingProxy
from tests.ledger_sql import run_sql
from tests.ledger_tables import TABLES, load
from tests.pulls import Answered, Puller

pytest_plugins = "tests.integration.ledger_fixtures"

FULL = golden(FOLDER / "everything")
NODE = FULL.pulled["full"]
RIGHT = FULL.body_file("full").read_bytes()
UNAVAILABLE = (503, "datastore_unavailable", b"")
FAULT = (500, None, b"")

# What a read of any row may run into, and what the pull then has to say.
FAULTS = {
    "raises": ("RAISE 'broken'", FAULT),
    "divides by zero": ("RETURN 1 / (random() * 0)", FAULT),
    "is without memory": ("RAISE 'broken' USING ERRCODE = '53200'", UNAVAILABLE),
    "is shut down": ("RAISE 'broken' USING ERRCODE = '57P01'", UNAVAILABLE),
    "is slow": ("PERFORM pg_sleep(60)", UNAVAILABLE),
}
STATEMENT_TIMEOUT = 0.5


@pytest.fixture(scope="module")
def dsn(ledger_dsn: str) -> str:
    with (
        closing(psycopg2.connect(ledger_dsn)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        load(cursor, FULL.tables)
    return ledger_dsn


@contextmanager
def pulling(dsn: str, statement_timeout: float = 30.0) -> Iterator[Puller]:
    pool = ReadPool(dsn, 1, statement_timeout)
    try:
        yield Puller(pool)
    finally:
        pool.close()


@pytest.fixture
def puller(dsn: str) -> Iterator[Puller]:
    """A process that has answered once, so that it holds what it may hold."""
    with pulling(dsn) as made:
        assert made.pull(NODE).body == RIGHT
        yield made


def told(answer: Answered) -> tuple[int, str | None, bytes]:
    return (answer.status, answer.code, answer.body)


@contextmanager
def broken_table(dsn: str, table: str, body: str) -> Iterator[None]:
    """Whoever reads a row of the table runs into `body` first."""
    run_sql(
        dsn,
        f"""
        CREATE FUNCTION plexsphere.fault() RETURNS boolean LANGUAGE plpgsql VOLATILE
        AS $$ BEGIN {body}; RETURN true; END $$;
        ALTER TABLE plexsphere.{table} RENAME TO whole;
        CREATE VIEW plexsphere.{table} AS SELECT * FROM plexsphere.whole WHERE plexsphere.fault();
        """,
    )
    try:
        yield
    finally:
        # Whoever gave up waiting has left a statement behind, and its locks.
        run_sql(
            dsn,
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'PgSleep'
            """,
        )
        run_sql(
            dsn,
            f"""
            DROP VIEW plexsphere.{table};
            ALTER TABLE plexsphere.whole RENAME TO {table};
            DROP FUNCTION plexsphere.fault;
            """,
        )


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("table", TABLES)
def test_a_row_set_that_cannot_be_read(dsn: str, table: str, fault: str) -> None:
    body, refusal = FAULTS[fault]
    timeout = STATEMENT_TIMEOUT if fault == "is slow" else 30.0
    with pulling(dsn, timeout) as warm, pulling(dsn, timeout) as cold:
        assert warm.pull(NODE).body == RIGHT
        with broken_table(dsn, table, body):
            refused = [told(warm.pull(NODE)), told(cold.pull(NODE))]
        again = [warm.pull(NODE).body, cold.pull(NODE).body]
    assert refused == [refusal, refusal]
    assert again == [RIGHT, RIGHT]


def test_a_row_set_that_is_slower_than_the_caller_waits(puller: Puller, dsn: str) -> None:
    with broken_table(dsn, "node_state_entries", "PERFORM pg_sleep(60)"):
        refused = told(puller.pull(NODE, seconds=0.3))
    assert refused == UNAVAILABLE
    assert puller.pull(NODE).body == RIGHT


# Content that cannot be served: what makes it so, and what takes it back.
NODES = "UPDATE plexsphere.nodes SET {} WHERE id = '" + NODE + "'"
RULES = "UPDATE plexsphere.policy_compiled_ruleset SET {} WHERE policy_id::text LIKE '%%2'"
PROVIDER = "UPDATE plexsphere.bridge_user_access_providers SET {} WHERE slug = 'staff'"
TUNNELS = "ALTER TABLE plexsphere.bridge_site_to_site_tunnels"
ENTRIES = "ALTER TABLE plexsphere.node_state_entries"
CORRUPTIONS = {
    "a heartbeat at the end of time": NODES.format("last_heartbeat_at = 'infinity'"),
    "a change after the year 9999": NODES.format("changed_at = '10000-01-01Z'"),
    "a verdict of another vintage": NODES.format("reachability_state = 'never_reported'"),
    "a fingerprint of something else": RULES.format("fingerprint = sha256('')"),
    "a payload of something else": RULES.format("rule_payload = rule_payload || '{}'::bytea"),
    "a payload that is no rule": RULES.format(
        "rule_payload = E'secret-text\\n'::bytea, fingerprint = sha256(E'secret-text\\n'::bytea)"
    ),
    "a provider of no time": PROVIDER.format("updated_at = '-infinity'"),
    "a number past all floats": PROVIDER.format(
        "routing_policy = jsonb_build_object('n', 10::numeric ^ 400 + 0.5)"
    ),
    "a provider that breaks the schema": PROVIDER.format("slug = 'UPPER CASE'"),
    "a rule for the nil Node": f"""
        INSERT INTO plexsphere.nodes (id, domain_id)
        SELECT '{"0" * 32}', domain_id FROM plexsphere.nodes WHERE id = '{NODE}';
        UPDATE plexsphere.bridge_ingress_rules SET target_node_id = '{"0" * 32}'
        """,
    "a subnet that is null": f"""
        {TUNNELS} DROP CONSTRAINT bridge_site_to_site_tunnels_allowed_subnets_check;
        UPDATE plexsphere.bridge_site_to_site_tunnels SET allowed_subnets[1] = NULL
        """,
    "a kind of entry there is not": f"""
        {ENTRIES} DROP CONSTRAINT node_state_entries_kind_check;
        UPDATE plexsphere.node_state_entries SET kind = 'secret-text' WHERE key = 'disk'
        """,
}


@contextmanager
def corrupted(dsn: str, statement: str) -> Iterator[None]:
    """The statement's doings, and then the ledger as it was."""
    copy = make_dsn(dsn, dbname="postgres")
    name = parse_dsn(dsn)["dbname"]
    aside = f"{name}_aside"
    _commanded(copy, f"CREATE DATABASE {aside} TEMPLATE {name}")
    try:
        run_sql(dsn, statement)
        yield
    finally:
        _commanded(copy, f"DROP DATABASE {name} WITH (FORCE)")
        _commanded(copy, f"ALTER DATABASE {aside} RENAME TO {name}")


def _commanded(dsn: str, command: str) -> None:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(command)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_content_that_cannot_be_served(dsn: str, corruption: str) -> None:
    with pulling(dsn) as puller:
        with corrupted(dsn, CORRUPTIONS[corruption]):
            refused = puller.pull(NODE)
        assert told(refused) == FAULT
        assert "secret-text" not in refused.inside
        assert puller.pull(NODE).body == RIGHT


def test_a_corrupt_policy_is_named_with_its_node_and_the_reason(dsn: str) -> None:
    with pulling(dsn) as puller, corrupted(dsn, CORRUPTIONS["a payload that is no rule"]):
        inside = puller.pull(NODE).inside
    policy = FULL.tables["policy_compiled_ruleset"][0]["policy_id"]
    assert NODE in inside and policy in inside and "malformed_rule" in inside


class TamperingPool:
    """Hands on what the real pool read, but for one column of the snapshot."""

    def __init__(self, pool: ReadPool, column: int, content: str | None) -> None:
        self._pool = pool
        self._column = column
        self._content = content

    def fetch(self, query: Prepared, arguments: Mapping[str, Any], deadline: Deadline) -> list[Row]:
        rows = self._pool.fetch(query, arguments, deadline)
        if query.name != "snapshot_for_node":
            return rows
        row = list(rows[0])
        row[self._column] = self._content
        return [tuple(row)]


COLUMNS = ["peers_revision", "peers", "reachability", "policies", "entries", "bridge"]


@pytest.mark.parametrize("content", ["", "x", "[[]]", "[[1]]", '"', "[null]", "[" * 100_000])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_cannot_be_decoded(dsn: str, column: str, content: str) -> None:
    pool = ReadPool(dsn, 1, 30.0)
    with closing(pool):
        tampering = TamperingPool(pool, COLUMNS.index(column), content)
        refused = Puller(cast(ReadPool, tampering)).pull(NODE)
    assert told(refused) == FAULT


@pytest.mark.parametrize("column", ["peers_revision", "peers", "reachability"])
def test_a_column_that_is_missing(dsn: str, column: str) -> None:
    pool = ReadPool(dsn, 1, 30.0)
    with closing(pool):
        tampering = TamperingPool(pool, COLUMNS.index(column), None)
        refused = Puller(cast(ReadPool, tampering)).pull(NODE)
    assert told(refused) == FAULT


# Where an answer of Postgres is cut: in each column, and before its first byte.
CUTS = {
    "in the peers": b"10.42.0.4",
    "in the reachability": b"stale",
    "in the policies": b"0190b2c5-0006",
    "in the entries": b"eu-central",
    "in the bridge": b"plant-north",
    "before its last bytes": b"]]]",
    "behind the first row": b"SELECT 1",
}


@pytest.fixture
def proxy(dsn: str) -> Iterator[CuttingProxy]:
    given = parse_dsn(dsn)
    made = CuttingProxy(given["host"], int(given["port"]))
    yield made
    made.close()


@pytest.fixture
def behind(dsn: str, proxy: CuttingProxy) -> Iterator[Puller]:
    """A process whose connections lead through the proxy; it holds no peers yet."""
    with pulling(make_dsn(dsn, host="127.0.0.1", port=proxy.port)) as made:
        yield made


@pytest.mark.parametrize("cut", CUTS)
def test_a_connection_cut_in_the_middle_of_an_answer(
    behind: Puller, proxy: CuttingProxy, cut: str
) -> None:
    with proxy.cutting(CUTS[cut]):
        refused = told(behind.pull(NODE))
    assert (refused, proxy.cuts > 0) == (UNAVAILABLE, True)
    assert behind.pull(NODE).body == RIGHT


def test_what_a_cut_connection_did_not_answer_is_asked_again_whole(
    behind: Puller, proxy: CuttingProxy
) -> None:
    assert behind.pull(NODE).body == RIGHT
    with proxy.cutting(CUTS["in the entries"], times=1):
        again = behind.pull(NODE).body
    assert (again, proxy.cuts) == (RIGHT, 1)


def test_a_connection_that_falls_silent_in_the_middle_of_an_answer(
    behind: Puller, proxy: CuttingProxy
) -> None:
    with proxy.cutting(CUTS["in the entries"], silently=True):
        refused = told(behind.pull(NODE, seconds=0.5))
    assert (refused, proxy.cuts) == (UNAVAILABLE, 1)
    assert behind.pull(NODE).body == RIGHT


# ---- over the socket ----------------------------------------------------------------------------


def pulled(stack: Stack) -> Reply:
    return ask(stack.url, pull_path(stack.node_id), stack.headers)


@pytest.mark.parametrize("table", ["node_state_entries", "policy_compiled_ruleset"])
@pytest.mark.parametrize("fault", ["raises", "is without memory"])
def test_over_the_socket_a_row_set_that_cannot_be_read(
    stack: Stack, table: str, fault: str
) -> None:
    right = pulled(stack)
    body, (status, code, _) = FAULTS[fault]
    with broken_table(stack.dsn, table, body):
        refused = [pulled(stack) for _ in range(4)]
    assert right.status == 200
    assert {(one.status, one.code) for one in refused} == {(status, code)}
    assert pulled(stack).body == right.body


def test_over_the_socket_a_corrupt_policy_is_no_half_firewall(stack: Stack) -> None:
    right = pulled(stack)
    policy = "ffffffff-ffff-4fff-8fff-ffffffffffff"
    values = f"('{stack.node_id}', '{policy}', '{policy}', 'hunter2', 'hunter2')"
    run_sql(stack.dsn, f"INSERT INTO plexsphere.policy_compiled_ruleset VALUES {values}")
    try:
        refused = pulled(stack)
    finally:
        run_sql(
            stack.dsn,
            f"DELETE FROM plexsphere.policy_compiled_ruleset WHERE policy_id = '{policy}'",
        )
    assert (refused.status, refused.code) == (500, None)
    assert b"hunter2" not in refused.body and policy.encode() not in refused.body
    assert pulled(stack).body == right.body
