"""The turns of the evaluator: the pauses between sweeps, and the log lines."""

from __future__ import annotations

from collections.abc import Sequence

from structlog.testing import capture_logs

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable
from composer.reachability import Sweep, Transition
from server.workers.evaluator import evaluator_loop

NOTHING = Sweep((), resumed=False)
MOVED = Sweep((Transition("healthy", "stale", 2, ("a", "b")),), resumed=False)
RESUMED = Sweep((), resumed=True)
AWAY = DatastoreUnavailable("evaluator_sweep: OperationalError")
Turn = Sweep | None | ComposerError


class Scripted:
    """Sweeps that end as they are told, each after ``takes`` seconds."""

    def __init__(self, turns: Sequence[Turn], takes: float = 0.0) -> None:
        self.now = 0.0
        self._turns = list(turns)
        self._takes = takes

    def sweep(self, deadline: Deadline) -> Sweep | None:
        self.now += self._takes
        turn = self._turns.pop(0)
        if isinstance(turn, ComposerError):
            raise turn
        return turn

    def sweep_once(self, deadline: Deadline) -> Sweep:
        raise NotImplementedError


def events_and_waits(turns: Sequence[Turn], takes: float = 0.0) -> tuple[list[str], list[float]]:
    """The events at info and above, and the seconds between the turns."""
    script = Scripted(turns, takes)
    loop = evaluator_loop(script, interval=5.0, clock=lambda: script.now)
    with capture_logs() as lines:
        waits = [loop.step() for _ in turns]
    return [line["event"] for line in lines if line["log_level"] != "debug"], waits


def test_a_sweep_that_moves_nothing_says_nothing() -> None:
    assert events_and_waits([NOTHING] * 3) == (["evaluator_elected"], [5.0] * 3)


def test_a_sweep_begins_an_interval_after_the_last_one_began() -> None:
    assert events_and_waits([NOTHING] * 2, takes=1.5)[1] == [3.5, 3.5]


def test_a_sweep_that_takes_longer_is_followed_at_once() -> None:
    assert events_and_waits([NOTHING], takes=7.0)[1] == [0.0]


def test_a_sweep_that_moves_nodes_says_so_in_one_line() -> None:
    script = Scripted([MOVED])
    with capture_logs() as lines:
        evaluator_loop(script, 5.0, clock=lambda: script.now).step()
    assert lines[-1] == {
        "event": "reachability_moved",
        "log_level": "info",
        "nodes": 2,
        "transitions": [{"from": "healthy", "to": "stale", "nodes": 2, "node_ids": ["a", "b"]}],
    }


def test_waiting_for_another_one_is_said_once_and_so_is_the_takeover() -> None:
    events, waits = events_and_waits([None, None, NOTHING, NOTHING, None])
    assert events == [
        *("evaluator_waits_for_another", "evaluator_elected", "evaluator_waits_for_another")
    ]
    assert waits == [5.0] * 5


def test_an_election_is_lost_with_the_ledger_and_logged_again() -> None:
    assert events_and_waits([NOTHING, AWAY, AWAY, NOTHING])[0] == [
        *("evaluator_elected", "evaluator_cannot_sweep"),
        *("evaluator_elected", "evaluator_can_sweep_again"),
    ]


def test_a_pause_is_said() -> None:
    assert events_and_waits([RESUMED])[0] == [
        "evaluator_elected",
        "evaluator_resumed_after_a_pause",
    ]
