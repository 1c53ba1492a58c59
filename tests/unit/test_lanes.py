"""The order in which a lane's requests are answered, and the guess at how long the next waits."""

from __future__ import annotations

import re
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from server.contract.document import Contract
from server.gunicorn.lanes import CROWD_SHARE, Lane, Lanes
from server.threads import shared_out

CONTRACT = Contract.packaged()


class Asking:
    """As much of a connection as a lane looks at: when it asked, and was answered before."""

    def __init__(self, name: str, began: float = 10.0, answered: float = 0.0) -> None:
        self.name = name
        self.began = began
        self.answered = answered


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
        lane.put(request)  # type: ignore[arg-type]
    lane.release()
    lane.start()
    assert done.wait(10)
    return served


def test_who_asked_first_is_first() -> None:
    assert order({}, [Asking("a"), Asking("b"), Asking("c")]) == ["a", "b", "c"]


def test_a_probe_does_not_wait_for_a_crowd_of_probes() -> None:
    asking = [Asking("a"), Asking("b"), Asking("c")]
    assert order({"newest_first": True}, asking) == ["c", "b", "a"]


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
        lane.put(Asking(str(number)))  # type: ignore[arg-type]
    assert lane.wait_seconds == pytest.approx(expected)


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
