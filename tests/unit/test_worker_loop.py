"""The loop of the evaluator and the relay: its pauses, its log lines, and its end by a signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from threading import Thread

import pytest
from structlog.testing import capture_logs

from composer.errors import AuthzUnavailable, ComposerError, DatastoreUnavailable
from server.workers import loop as worker_loop
from server.workers.loop import LONGEST_BACKOFF, TurnLoop, run_until_stopped

AWAY = DatastoreUnavailable("sweep: OperationalError")
Result = float | BaseException


class Turns:
    """Returns or raises the given results, in order."""

    def __init__(self, *results: Result) -> None:
        self.results = list(results)
        self.waits: list[float] = []

    def __call__(self) -> float:
        result = self.results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    def loop(self) -> TurnLoop:
        return TurnLoop(self, failing="cannot", recovered="again", wait=self.waits.append)


def steps(*results: Result) -> tuple[list[float], list[str]]:
    """The pauses and the events of a loop whose turns have these results."""
    loop = Turns(*results).loop()
    with capture_logs() as lines:
        pauses = [loop.step() for _ in results]
    return pauses, [line["event"] for line in lines]


def test_a_turn_decides_the_pause_and_nothing_is_logged() -> None:
    assert steps(5.0, 0.0, 0.25) == ([5.0, 0.0, 0.25], [])


def test_failures_double_the_pause_up_to_a_bound_and_a_success_resets_it() -> None:
    pauses, _ = steps(*[AWAY] * 6, 1.0, AWAY)
    assert pauses == [0.5, 1.0, 2.0, 4.0, LONGEST_BACKOFF, LONGEST_BACKOFF, 1.0, 0.5]


def test_an_outage_is_logged_once_and_so_is_its_end() -> None:
    assert steps(AWAY, AWAY, 1.0, 1.0, AWAY)[1] == ["cannot", "again", "cannot"]


@pytest.mark.parametrize(
    ("error", "dependency"),
    [
        (AWAY, "postgres"),
        (ComposerError("sweep: sqlstate=42P01"), "postgres"),
        (AuthzUnavailable("SpiceDB: UNAVAILABLE"), "spicedb"),
        (type("AuthzBusy", (AuthzUnavailable,), {})("SpiceDB: too many calls"), "spicedb"),
    ],
)
def test_a_failure_names_the_dependency_and_the_cause_of_its_driver(
    error: ComposerError, dependency: str
) -> None:
    error.__cause__ = OSError("connection\n refused")
    with capture_logs() as lines:
        Turns(error).loop().step()
    assert lines == [
        {
            "event": "cannot",
            "log_level": "warning",
            "dependency": dependency,
            "error": str(error),
            "cause": "connection refused",
        }
    ]


def test_an_error_of_ours_ends_the_loop() -> None:
    turns = Turns(5.0, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        turns.loop().run()
    assert turns.waits == [5.0]


@pytest.fixture
def handlers() -> Iterator[None]:
    """Those of the test run are there again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_loop_and_is_logged(number: signal.Signals, handlers: None) -> None:
    def turn() -> float:
        os.kill(os.getpid(), number)
        return 0.0

    with capture_logs() as lines:
        run_until_stopped(TurnLoop(turn, failing="", recovered=""), "worker", interval=5.0)
    assert lines == [
        {"event": "worker_started", "log_level": "info", "interval": 5.0},
        {"event": "worker_stopped", "log_level": "info", "signal": number.name},
    ]


def test_a_signal_before_the_loops_beside_it_have_begun_ends_it_too(
    handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Thread):
        def start(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(worker_loop, "Thread", Late)
    loops = [TurnLoop(Turns(), failing="", recovered="") for _ in range(2)]
    with capture_logs() as lines:
        run_until_stopped(loops[0], "worker", beside=loops[1:])
    assert [line["event"] for line in lines] == ["worker_started", "worker_stopped"]
