"""All or nothing: a fault in any row set or block is the declared refusal, never a 200 with less.

The database is this module's own, because its tests break it. After each fault the very same
process answers the very same bytes again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from server.dev.stack import Stack
from tests.client import Reply, ask, pull_path
from tests.integration.full_ledger import (
    FAULT,
    FAULTS,
    FULL,
    NODE,
    RIGHT,
    STATEMENT_TIMEOUT,
    UNAVAILABLE,
    broken_table,
    outcome_of,
    pulling,
)
from tests.ledger_sql import run_sql
from tests.ledger_tables import TABLES
from tests.pulls import Puller

pytest_plugins = ("tests.integration.ledger_fixtures", "tests.integration.full_ledger")


# One statement reads all: each table once, and each fault once.
READS = [(table, "raises") for table in TABLES]
READS += [("node_state_entries", fault) for fault in FAULTS if fault != "raises"]


@pytest.mark.parametrize(("table", "fault"), READS)
def test_a_row_set_that_cannot_be_read(full_dsn: str, table: str, fault: str) -> None:
    body, refusal = FAULTS[fault]
    timeout = STATEMENT_TIMEOUT if fault == "is slow" else 30.0
    with pulling(full_dsn, timeout) as warm, pulling(full_dsn, timeout) as cold:
        assert warm.pull(NODE).body == RIGHT
        with broken_table(full_dsn, table, body):
            refused = [outcome_of(warm.pull(NODE)), outcome_of(cold.pull(NODE))]
        again = [warm.pull(NODE).body, cold.pull(NODE).body]
    assert refused == [refusal, refusal]
    assert again == [RIGHT, RIGHT]


def test_a_row_set_that_is_slower_than_the_caller_waits(puller: Puller, full_dsn: str) -> None:
    with broken_table(full_dsn, "node_state_entries", "PERFORM pg_sleep(60)"):
        refused = outcome_of(puller.pull(NODE, seconds=0.3))
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
def corrupted(full_dsn: str, statement: str) -> Iterator[None]:
    """The statement's doings, and then the ledger as it was."""
    copy = make_dsn(full_dsn, dbname="postgres")
    name = parse_dsn(full_dsn)["dbname"]
    aside = f"{name}_aside"
    _commanded(copy, f"CREATE DATABASE {aside} TEMPLATE {name}")
    try:
        run_sql(full_dsn, statement)
        yield
    finally:
        _commanded(copy, f"DROP DATABASE {name} WITH (FORCE)")
        _commanded(copy, f"ALTER DATABASE {aside} RENAME TO {name}")


def _commanded(full_dsn: str, command: str) -> None:
    with closing(psycopg2.connect(full_dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(command)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_content_that_cannot_be_served(full_dsn: str, corruption: str) -> None:
    with pulling(full_dsn) as puller:
        with corrupted(full_dsn, CORRUPTIONS[corruption]):
            refused = puller.pull(NODE)
        assert outcome_of(refused) == FAULT
        assert "secret-text" not in refused.inside
        assert puller.pull(NODE).body == RIGHT


def test_a_corrupt_policy_is_named_with_its_node_and_the_reason(full_dsn: str) -> None:
    with pulling(full_dsn) as puller, corrupted(full_dsn, CORRUPTIONS["a payload that is no rule"]):
        inside = puller.pull(NODE).inside
    policy = FULL.tables["policy_compiled_ruleset"][0]["policy_id"]
    assert NODE in inside and policy in inside and "malformed_rule" in inside


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
    assert {(reply.status, reply.code) for reply in refused} == {(status, code)}
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
