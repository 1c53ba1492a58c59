"""Nodes of concurrent pulls are read together, and none gets the rows of another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable, NodeNotFound
from db.coalesced_reads import TROUBLE, CoalescedReads
from db.connections import Row
from db.statements import Prepared
from tests.factories import node_id
from tests.fakes import FakeClock
from tests.ports.deadlines import in_time

MISSING = 4


class Ledger:
    """Has every Node but one. The first statement waits for ``release``; ``error`` is of later."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.began = threading.Event()
        self.release = threading.Event()
        self.error: Exception | None = None

    def fetch(self, query: Prepared, arguments: Mapping[str, Any], deadline: Deadline) -> list[Row]:
        ids = arguments["node_ids"]
        self.asked.append(ids)
        if len(self.asked) == 1:
            self.began.set()
            assert self.release.wait(10)
        elif self.error is not None:
            raise self.error
        if deadline.remaining() <= 0:
            raise DatastoreUnavailable("no time left")
        # in another order than they were asked for in
        known = [node for node in reversed(ids) if node != str(node_id(MISSING))]
        return [(node, f"row of {node}") for node in known]


def read_meanwhile(ledger: Ledger, *deadlines: Deadline) -> list[Future[Row]]:
    """Node 1 is being read while the others are asked for, from 2 on."""
    reads = CoalescedReads(ledger)  # type: ignore[arg-type]
    with ThreadPoolExecutor(len(deadlines) + 1) as threads:
        asked = [threads.submit(reads.ask, node_id(1), in_time())]
        assert ledger.began.wait(10)
        for number, deadline in enumerate(deadlines, 2):
            asked.append(threads.submit(reads.ask, node_id(number), deadline))
            waits(reads, node_id(number), asked[-1])
        ledger.release.set()
    assert not reads._is_calling
    return asked


def waits(reads: CoalescedReads, node: UUID, asked: Future[Row]) -> None:
    while node not in {waiting.question for waiting in [*reads._waiting]} and not asked.done():
        threading.Event().wait(0.001)


def outcomes(asked: list[Future[Row]]) -> list[object]:
    return [future.exception() or future.result()[0] for future in asked]


def row_of(number: int) -> str:
    return f"row of {node_id(number)}"


def test_nodes_that_are_asked_for_during_a_statement_are_the_next_one() -> None:
    ledger = Ledger()
    asked = outcomes(read_meanwhile(ledger, *[in_time()] * 5))
    assert isinstance(asked.pop(MISSING - 1), NodeNotFound)
    assert asked == [row_of(number) for number in (1, 2, 3, 5, 6)]
    assert ledger.asked == [
        [str(node_id(1))],
        [str(node_id(number)) for number in range(2, 7)],
    ]


def test_without_concurrency_each_is_a_statement_of_its_own() -> None:
    ledger = Ledger()
    ledger.release.set()
    reads = CoalescedReads(ledger)  # type: ignore[arg-type]
    assert [reads.ask(node_id(number), in_time())[0] for number in (1, 2)] == [row_of(1), row_of(2)]
    with pytest.raises(NodeNotFound):
        reads.ask(node_id(MISSING), in_time())
    assert list(map(len, ledger.asked)) == [1, 1, 1]


@pytest.mark.parametrize("error", [DatastoreUnavailable("away"), ComposerError("refused")])
def test_a_statement_that_fails_fails_for_all_of_it(error: ComposerError) -> None:
    ledger = Ledger()
    ledger.error = error
    assert outcomes(read_meanwhile(ledger, in_time(), in_time())) == [row_of(1), error, error]
    assert len(ledger.asked) == 2


def test_a_node_without_time_takes_no_other_s() -> None:
    ledger = Ledger()
    asked = read_meanwhile(ledger, in_time(0), in_time())
    assert isinstance(asked[1].exception(), DatastoreUnavailable)
    assert asked[2].result() == (row_of(3),)


def test_where_the_leader_has_no_time_left_the_others_are_read_again() -> None:
    """Its statement is bounded by its own deadline."""
    ledger = Ledger()
    clock = FakeClock()
    late = Deadline.after(1.0, clock)
    original: Callable[..., Any] = ledger.fetch

    def fetch(query: Prepared, arguments: Mapping[str, Any], deadline: Deadline) -> list[Row]:
        if len(arguments["node_ids"]) > 1:
            clock.now += 2.0
        rows: list[Row] = original(query, arguments, deadline)
        return rows

    ledger.fetch = fetch  # type: ignore[method-assign]
    asked = outcomes(read_meanwhile(ledger, late, in_time()))
    assert isinstance(asked[1], DatastoreUnavailable)
    assert (asked[0], asked[2]) == (row_of(1), row_of(3))


def test_nobody_waits_for_a_statement_that_does_not_come_back() -> None:
    ledger, clock = Ledger(), FakeClock()
    reads = CoalescedReads(ledger, clock)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(reads.ask, node_id(1), in_time())
        assert ledger.began.wait(10)
        clock.now += TROUBLE + 0.1
        with pytest.raises(DatastoreUnavailable, match="does not come back"):
            reads.ask(node_id(2), in_time())
        ledger.release.set()
        assert first.result() == (row_of(1),)
    assert reads.ask(node_id(2), in_time()) == (row_of(2),)


def test_a_crowd_gets_its_own_rows() -> None:
    ledger = Ledger()
    asked = outcomes(read_meanwhile(ledger, *[in_time()] * 100))
    asked.pop(MISSING - 1)
    assert asked == [row_of(number) for number in range(1, 102) if number != MISSING]
    assert len(ledger.asked) < 10
