"""The checker of the matrix of faults finds each way to be wrong, and nothing in a right answer."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from tests.client import Reply
from tests.faults import cells
from tests.faults.__main__ import page
from tests.faults.seen import Cell, NodePictures, Received, fixed, judge_events, outcome


def body(value: int, **changes: Any) -> dict[str, Any]:
    entries = {"metadata": [{"key": "seq", "value": str(value)}], "data": [], "reports": []}
    return {
        "peers": [{"node_id": "a"}, {"node_id": "b"}],
        "reachability": {},
        "policy": None,
        "bridge": None,
        "state": entries,
        "reports": entries,
        **changes,
    }


def judged(reply: bytes) -> Cell:
    """The Node had 5, and 9 was sent last."""
    cell = Cell("Postgres", "down", recovered_s=0.0)
    pictures = NodePictures("n", fixed(body(5)), attempted=9, acknowledged=5, at_least=5)
    pictures.judge(cell, Reply(200, {}, reply))
    return cell


@pytest.mark.parametrize("value", [5, 7, 9])
def test_what_the_ledger_may_say_is_no_fault(value: int) -> None:
    assert judged(json.dumps(body(value)).encode()).is_good


@pytest.mark.parametrize(
    ("sent", "column"),
    [
        (body(4), "wrong"),
        (body(10), "wrong"),
        (body(5, policy={}), "wrong"),
        (body(5, peers=[{"node_id": "a"}, {"node_id": "c"}]), "wrong"),
        (body(5, peers=[{"node_id": "a"}]), "partial"),
        ({"peers": []}, "partial"),
    ],
    ids=["older", "never sent", "another policy", "another peer", "a peer less", "a key less"],
)
def test_each_other_body_is_a_fault(sent: dict[str, Any], column: str) -> None:
    assert judged(json.dumps(sent).encode()).faults() == [column]


def test_a_body_that_ends_early_is_partial() -> None:
    assert judged(json.dumps(body(5)).encode()[:-9]).faults() == ["partial"]


def test_times_and_losses_are_faults() -> None:
    assert Cell("x", "y", recovered_s=0.1, longest_s=3.6).faults() == ["longest_s"]
    assert Cell("x", "y", recovered_s=0.1, livez_s=1.1).faults() == ["longest_s"]
    assert Cell("x", "y", recovered_s=5.1).faults() == ["recovered_s"]
    assert Cell("x", "y").faults() == ["recovered_s"]
    assert Cell("x", "y", recovered_s=0.1, lost=1, fail_open=1).faults() == ["fail_open", "lost"]


@pytest.mark.parametrize(
    ("received", "faults"),
    [
        (["a", "b", "c"], []),
        (["before", "a", "b", "c"], []),
        (["a", "c"], ["events_lost"]),
        (["a", "b", "b", "c"], ["events_doubled"]),
        (["b", "a", "c"], ["events_reordered"]),
        ([2, "c"], []),
        ([1, "c"], ["events_lost"]),
    ],
    ids=["all", "an older one", "lost", "doubled", "reordered", "pulled", "pulled too early"],
)
def test_each_event_comes_once_and_in_order(received: list[Received], faults: list[str]) -> None:
    cell = Cell("NATS", "down", recovered_s=0.0)
    judge_events(cell, "n", [("a", 1), ("b", 2), ("c", 3)], received)
    assert cell.faults() == faults


def test_a_page_keeps_the_rows_of_other_cells() -> None:
    old = page([Cell("NATS", "down", lost=1), Cell("NATS", "slow", lost=7)], "")
    new = page([Cell("NATS", "down", lost=2), ("NATS", "full", "why")], old)
    rows = [line.split(" | ")[1:] for line in new.splitlines() if line.startswith("| NATS")]
    assert [(row[0], row[7:8]) for row in rows] == [
        ("down", ["2"]),
        ("slow", ["7"]),
        ("full", [""]),
    ]


def test_an_answer_has_a_name() -> None:
    assert outcome(None) == "no answer"
    assert outcome(Reply(200, {"x-plexsphere-stale-seconds": "3"}, b"")) == "200 stale"
    assert outcome(Reply(503, {}, b'{"code": "ledger_behind"}')) == "503 ledger_behind"
    assert outcome(Reply(502, {}, b"<html>")) == "502"


def test_each_pair_is_a_fault_or_says_why_not() -> None:
    for dependency, fault in product(cells.DEPENDENCIES, cells.FAULTS):
        how = cells.broken(dependency, fault)
        assert isinstance(how, cells.Broken) or how
