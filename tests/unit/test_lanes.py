"""The order in which a lane's requests are answered, and the guess at how long the next waits."""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from server.contract.document import Contract
from server.gunicorn.lanes import CROWD_SHARE, Lane, Lanes, caller_of
from server.threads import shared_out

CONTRACT = Contract.packaged()


class Asking:
    """As much of a connection as a lane looks at: who asks, and when; and the answer before."""

    client = ("127.0.0.1", 1)

    def __init__(self, name: str, began: float = 10.0, answered: float = 0.0) -> None:
        self.name = name
        self.began = began
        self.answered = answered
        self.request = SimpleNamespace(headers=[("HOST", "x"), ("AUTHORIZATION", name)])


def put(lane: Lane, asking: Any) -> None:
    if asking.answered:
        lane._answered.put(caller_of(asking), asking.answered, 0)
    lane.put(asking)


def order(lane_options: dict[str, bool], asking: list[Asking]) -> list[str]:
    """In which they are served by one thread that starts when all of them wait."""
    served: list[str] = []
    done = threading.Event()

    def serve(lane: Lane, requests: list[Any]) -> None:
        served.extend(request.name for request in requests)
        if len(served) == len(asking):
            done.set()

    lane = Lane("lane", 1, serve, **lane_options)
    for request in asking:
        put(lane, request)
    lane.release()
    lane.start()
    assert done.wait(10)
    return served


def test_who_asked_first_is_first() -> None:
    assert order({}, [Asking("a"), Asking("b"), Asking("c")]) == ["a", "b", "c"]


def test_a_probe_does_not_wait_for_a_crowd_of_probes() -> None:
    asking = [Asking("a"), Asking("b"), Asking("c")]
    assert order({"newest_first": True}, asking) == ["c", "b", "a"]


def test_a_probe_does_not_wait_for_those_who_ask_again_and_again_on_their_connections() -> None:
    asking = [Asking("a", answered=1.0), Asking("new"), Asking("b", answered=1.0)]
    assert order({"newest_first": True}, asking) == ["new", "a", "b"]


def test_who_asks_seldom_goes_before_who_always_asks_and_holds_up_nobody_for_ever() -> None:
    crowd = [Asking(f"crowd {number}", began=10.0, answered=9.99) for number in range(3)]
    quiet = [Asking(f"quiet {number}", began=10.0, answered=5.0) for number in range(6)]
    served = order({}, [*crowd, *quiet])
    assert served[: CROWD_SHARE - 1] == ["quiet 0", "quiet 1", "quiet 2"]
    assert served[CROWD_SHARE - 1] == "crowd 0"
    assert len(served) == 9


@pytest.mark.parametrize(("threads", "expected"), [(1, 6.0), (3, 2.0)])
def test_the_wait_is_what_waits_times_what_one_takes(threads: int, expected: float) -> None:
    lane = Lane("lane", threads, lambda lane, request: None)
    for _ in range(1_000):
        lane.took(2.0)
    for number in range(3):
        put(lane, Asking(str(number)))
    assert lane.wait_seconds == pytest.approx(expected)


def test_a_start_that_is_slow_makes_no_wait_that_is_long() -> None:
    """The first answers wait for what is made for them, so nothing is known by them alone."""
    lane = Lane("lane", 3, lambda lane, request: None, together=8)
    for number in range(5_000):
        put(lane, Asking(str(number)))
    for _ in range(24):
        lane.took(0.25)
        assert lane.wait_seconds == 0.0
    for _ in range(100):
        lane.took(0.002)
    assert lane.wait_seconds == pytest.approx(5_000 * 0.002 / 3)


def test_a_thread_that_has_several_requests_is_one_busy_thread() -> None:
    has_them, may_end = threading.Event(), threading.Event()

    def serve(lane: Lane, requests: list[Any]) -> None:
        has_them.set()
        assert may_end.wait(10)

    lane = Lane("lane", 3, serve, together=8)
    for number in range(8):
        put(lane, Asking(str(number)))
    lane.start()
    lane.release()
    assert has_them.wait(10)
    assert (lane.busy, lane.waiting) == (1, 0)
    may_end.set()


def test_what_may_be_told_overloaded_is_in_a_lane_that_refuses_and_nothing_else() -> None:
    lanes = Lanes(shared_out(24, 0, 0, 0), lambda lane, connection: None)
    refusing = set()
    for name, operation in CONTRACT.operations.items():
        path = re.sub(r"\{\w+\}", "x", operation.path)
        request = SimpleNamespace(path=path, method=operation.method)
        if lanes.own_lane(request).may_refuse:
            refusing.add(name)
    declared = {
        name
        for name, operation in CONTRACT.operations.items()
        if 503 in operation.responses and "overloaded" in operation.responses[503].problem_codes
    }
    assert declared == refusing


def test_while_a_crowd_has_the_threads_who_asks_seldom_has_one() -> None:
    """The crowd's request does not end before the other's is served."""
    seldom_is_served, crowd_has_thread = threading.Event(), threading.Event()

    def serve(lane: Lane, requests: list[Any]) -> None:
        if requests[0].name == "seldom":
            seldom_is_served.set()
        else:
            crowd_has_thread.set()
            assert seldom_is_served.wait(10)

    lane = Lane("lane", 2, serve, kept_free=True)
    lane.start()
    for number in range(3):
        put(lane, Asking(f"crowd {number}", began=10.0, answered=9.99))
    lane.release()
    assert crowd_has_thread.wait(10)
    put(lane, Asking("seldom", began=10.0, answered=5.0))
    lane.release()
    assert seldom_is_served.wait(10)


def test_a_caller_is_one_of_a_crowd_by_its_credential_and_not_by_its_connection() -> None:
    served: list[str] = []
    served_one = threading.Semaphore(0)

    def serve(lane: Lane, requests: list[Any]) -> None:
        served.extend(request.name for request in requests)
        served_one.release()

    lane = Lane("lane", 1, serve)
    lane.start()
    # once another is served, the answer of the one before is known
    for names in (["greedy"], ["another"], ["greedy", "quiet"]):
        for name in names:  # each on a new connection
            put(lane, Asking(name))
        lane.release()
        assert all(served_one.acquire(timeout=10) for _ in names)
    assert served == ["greedy", "another", "quiet", "greedy"]
