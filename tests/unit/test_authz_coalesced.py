"""Checks of concurrent requests are asked together, and none gets the decision of another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from authzed.api.v1 import (
    CheckBulkPermissionsPair,
    CheckBulkPermissionsResponse,
    CheckBulkPermissionsResponseItem,
    CheckPermissionResponse,
)
from google.rpc.status_pb2 import Status

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from server.authz.channel import Undecided
from server.authz.coalesced import CoalescedChecks, KnownNode, Question
from server.authz.concurrency import ConcurrencyLimit
from tests.ports.deadlines import in_time
from tests.scripted_spicedb import AWAY, NO, YES

ALLOWED = {1, 3, 5}


def question(number: int) -> Question:
    return f"user:{number}", "node_agent", f"node:{number}"


class Store:
    """Allows ALLOWED. The first call waits for ``release``; ``bulk`` answers the later ones."""

    def __init__(self, bulk: Callable[[Any], Any] | None = None) -> None:
        self.calls: list[list[str]] = []
        self.began = threading.Event()
        self.release = threading.Event()
        self._bulk = bulk

    def permissions(self, method: str, request: Any, deadline: Deadline) -> Any:
        if deadline.remaining() <= 0:
            raise AuthzUnavailable("no time left")
        if method == "CheckPermission":
            self.calls.append([request.subject.object.object_id])
            if len(self.calls) == 1:
                self.began.set()
                assert self.release.wait(10)
            return CheckPermissionResponse(permissionship=self._answer(request))
        self.calls.append([item.subject.object.object_id for item in request.items])
        if self._bulk is not None:
            return self._bulk(request)
        # in another order than they were asked in
        return CheckBulkPermissionsResponse(pairs=reversed([*map(self.pair, request.items)]))

    def pair(self, item: Any) -> CheckBulkPermissionsPair:
        item_answer = CheckBulkPermissionsResponseItem(permissionship=self._answer(item))
        return CheckBulkPermissionsPair(request=item, item=item_answer)

    def _answer(self, asked: Any) -> int:
        return YES if int(asked.subject.object.object_id) in ALLOWED else NO


def ask_meanwhile(store: Store, *deadlines: Deadline) -> list[Future[bool]]:
    """Question 1 is under way while the others are asked, from 2 on."""
    checks = CoalescedChecks(store, ConcurrencyLimit(4, wait_s=10.0))  # type: ignore[arg-type]
    with ThreadPoolExecutor(len(deadlines) + 1) as threads:
        asked = [threads.submit(checks.ask, question(1), in_time())]
        assert store.began.wait(10)
        for number, deadline in enumerate(deadlines, 2):
            asked.append(threads.submit(checks.ask, question(number), deadline))
            while question(number) not in {waiting.question for waiting in [*checks._waiting]}:
                if asked[-1].done():
                    break
                threading.Event().wait(0.001)
        store.release.set()
    assert not checks._is_calling
    return asked


def outcomes(asked: list[Future[bool]]) -> list[object]:
    return [future.exception() or future.result() for future in asked]


def test_a_question_without_company_is_a_call_of_its_own() -> None:
    store = Store()
    store.release.set()
    checks = CoalescedChecks(store, ConcurrencyLimit(4))  # type: ignore[arg-type]
    assert [checks.ask(question(number), in_time()) for number in (1, 2)] == [True, False]
    assert store.calls == [["1"], ["2"]]


def test_questions_that_come_during_a_call_are_the_next_call() -> None:
    store = Store()
    asked = ask_meanwhile(store, *[in_time()] * 5)
    assert outcomes(asked) == [number in ALLOWED for number in range(1, 7)]
    assert store.calls == [["1"], ["2", "3", "4", "5", "6"]]


def test_an_item_with_an_error_is_that_question_s_alone() -> None:
    def bulk(request: Any) -> CheckBulkPermissionsResponse:
        first, *others = request.items
        code = grpc.StatusCode.FAILED_PRECONDITION.value[0]
        broken = CheckBulkPermissionsPair(request=first, error=Status(code=code))
        return CheckBulkPermissionsResponse(pairs=[broken, *map(store.pair, others)])

    store = Store(bulk)
    _, second, third = outcomes(ask_meanwhile(store, in_time(), in_time()))
    assert isinstance(second, Undecided) and third is True


def test_an_item_that_is_missing_is_asked_again() -> None:
    store = Store(lambda request: CheckBulkPermissionsResponse())
    asked = ask_meanwhile(store, in_time(), in_time())
    assert outcomes(asked) == [True, False, True]
    assert sorted(map(len, store.calls)) == [1, 1, 1, 2]


def test_a_call_that_is_refused_for_one_question_is_repeated_for_each() -> None:
    def bulk(request: Any) -> Any:
        raise Undecided(grpc.StatusCode.INVALID_ARGUMENT, "one of them")

    assert outcomes(ask_meanwhile(Store(bulk), in_time(), in_time())) == [True, False, True]


def test_a_store_that_is_away_is_away_for_all_of_a_call() -> None:
    def bulk(request: Any) -> Any:
        raise AWAY

    store = Store(bulk)
    asked = outcomes(ask_meanwhile(store, in_time(), in_time(), in_time()))
    assert asked == [True, AWAY, AWAY, AWAY]
    assert len(store.calls) == 2


def test_a_question_without_time_takes_no_other_s() -> None:
    store = Store()
    asked = ask_meanwhile(store, in_time(0), in_time())
    assert isinstance(asked[1].exception(), AuthzUnavailable)
    assert asked[2].result() is True


def test_a_question_that_comes_in_trouble_is_refused_at_once_where_a_call_is_under_way() -> None:
    store, limit = Store(), ConcurrencyLimit(4, wait_s=10.0, trouble_s=10.0)
    checks = CoalescedChecks(store, limit)  # type: ignore[arg-type]
    with pytest.raises(AuthzUnavailable), limit.permit(in_time()):
        raise AuthzUnavailable("planted")
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(checks.ask, question(1), in_time())
        assert store.began.wait(10)
        with pytest.raises(AuthzUnavailable, match="in trouble"):
            checks.ask(question(3), in_time())
        store.release.set()
        assert first.result() is True
    assert checks.ask(question(3), in_time()) is True


def test_questions_wait_for_a_call_that_fails_and_hold_no_other() -> None:
    store = Store()
    limit = ConcurrencyLimit(4, wait_s=10.0, trouble_s=10.0)
    checks = CoalescedChecks(store, limit)  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(checks.ask, question(1), in_time(0.05))
        assert store.began.wait(10)
        second = threads.submit(checks.ask, question(3), in_time())
        while not checks._waiting:
            threading.Event().wait(0.001)
        limit._failed_at = time.monotonic()
        limit._succeeded_at = -1e9
        with checks._lock:
            checks._waiting[0].wake()
        assert isinstance(second.exception(), AuthzUnavailable)
        store.release.set()
        first.result()
    assert store.calls == [["1"]]


@pytest.mark.parametrize("many", [100])
def test_a_crowd_gets_its_own_answers(many: int) -> None:
    store = Store()
    asked = ask_meanwhile(store, *[in_time()] * many)
    assert outcomes(asked) == [number in ALLOWED for number in range(1, many + 2)]
    assert len(store.calls) < many / 10


# The time of an answer does not tell whether a Node is there.


def test_a_role_on_a_node_is_asked_beside_the_same_question_about_a_node_that_is_there() -> None:
    store, known = Store(), KnownNode()
    store.release.set()
    checks = CoalescedChecks(store, ConcurrencyLimit(limit=1), known=known)  # type: ignore[arg-type]
    wanted = ("user:1", "domain_edit", "node:9")
    for number in (3, 4):
        known.allowed(("node:x", "node_agent", f"node:{number}"))
    assert known.beside(wanted) == ("user:1", "domain_edit", "node:4")
    assert known.beside(("user:1", "domain_edit", "node:4")) == ("user:1", "domain_edit", "node:3")
    assert checks.ask(wanted, in_time())  # user 1 has it
    assert not checks.ask(("user:2", "domain_edit", "node:9"), in_time())
    assert store.calls == [["1", "1"], ["2", "2"]]


@pytest.mark.parametrize("asked", ["node_agent on node:9", "domain_edit on domain:9"])
def test_what_takes_as_long_without_the_object_is_asked_alone(asked: str) -> None:
    known = KnownNode()
    known.allowed(("node:x", "node_agent", "node:3"))
    permission, _, resource = asked.partition(" on ")
    assert known.beside(("user:1", permission, resource)) is None
