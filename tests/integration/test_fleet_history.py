"""``plexsphere-state fleet history``: the digests a Node was granted, with times."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from server.cli.failures import ExitCode
from tests.command_runs import failed, run
from tests.integration.ledger_rows import Hand

pytest_plugins = "tests.integration.ledger_fixtures"

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32
INSERT = """
INSERT INTO plexsphere.audit_rows (occurred_at, relation, outcome, subject, object, digest)
VALUES (%s, %s, %s, %s, %s, %s)
"""


@pytest.fixture
def node(hand: Hand) -> UUID:
    """Granted A twice, B once and A again, deregistered since; between them no pulls of its own."""
    granted = uuid4()
    own, other = f"node:{granted}", f"node:{uuid4()}"
    for minute, digest in ((1, A), (2, A), (4, B), (6, A)):
        at = f"2026-11-23 08:0{minute}:00+00"
        hand.run(INSERT, at, "node_state.pull", "granted", own, own, digest)
        hand.run(INSERT, at, "node_state.pull", "granted", other, other, B)
        hand.run(INSERT, at, "node_state.pull", "granted", "user:ann", own, C)
        hand.run(INSERT, at, "node_state.pull", "insufficient_relation", own, own, None)
        hand.run(INSERT, at, "node_reachability.read", "granted", own, own, None)
    return granted


def served(hand: Hand, *arguments: str) -> list[tuple[Any, ...]]:
    result = run("fleet", "history", "--json", *arguments, PLEXSPHERE_DSN=hand.dsn)
    assert result.exit_code == 0
    return [
        (body["digest"], body["first_at"][14:16], body["last_at"][14:16], body["grants"])
        for body in json.loads(result.stdout)["served"]
    ]


def test_each_run_of_a_digest_has_a_line_the_newest_last(hand: Hand, node: UUID) -> None:
    assert served(hand, str(node)) == [
        (A, "01", "02", 2),
        (B, "04", "04", 1),
        (A, "06", "06", 1),
    ]


def test_the_newest_are_kept_where_there_are_more(hand: Hand, node: UUID) -> None:
    assert [body[1] for body in served(hand, str(node), "--limit", "2")] == ["04", "06"]


def test_people_see_a_table_in_utc(hand: Hand, node: UUID) -> None:
    env = {"PLEXSPHERE_NODE_ID": str(node), "PLEXSPHERE_DSN": hand.dsn, "PGTZ": "Asia/Kolkata"}
    result = run("fleet", "history", **env)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"Node  {node}  3 digests"
    assert result.stdout.count(A) == 2
    assert "2026-11-23 08:04:00Z" in result.stdout


def test_a_node_without_a_grant_has_no_history(hand: Hand) -> None:
    assert served(hand, str(hand.node(hand.domain()))) == []


@pytest.mark.parametrize("more", [(), ("--json",), ("--last",), ("--diff", A, B)], ids=str)
def test_an_unknown_node_is_a_failure(hand: Hand, more: tuple[str, ...]) -> None:
    unreal = uuid4()
    result = run("fleet", "history", str(unreal), *more, PLEXSPHERE_DSN=hand.dsn)
    assert f"the ledger has no Node {unreal}" in failed(result, ExitCode.DIFFERENT)
