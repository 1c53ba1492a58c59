"""The turns of the relay: the pauses between transactions, and the log lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable, DatastoreUnavailable
from db.outbox import OutboxLag
from server.workers.loop import TurnLoop
from server.workers.relay import FIRST_BACKOFF, LAG_EVERY, POLL_SECONDS, relay_loop
from tests.fakes import FakeClock


@dataclass
class Scripted:
    """Each turn's rows or error, in order; then nothing waits."""

    turns: list[int | Exception] = field(default_factory=list)

    def drain(self, limit: int, deadline: Deadline) -> int:
        turn = self.turns.pop(0) if self.turns else 0
        if isinstance(turn, Exception):
            raise turn
        return turn


def relay(
    *turns: int | Exception, lag: OutboxLag = OutboxLag(0, 0.0, 0), clock: FakeClock | None = None
) -> TurnLoop:
    return relay_loop(Scripted(list(turns)), lambda deadline: lag, clock or FakeClock())


def pauses(loop: TurnLoop, turns: int) -> Sequence[float]:
    return [loop.step() for _ in range(turns)]


def test_it_goes_on_at_once_while_there_is_work_and_polls_when_there_is_none() -> None:
    assert pauses(relay(3, 200, 0), 3) == [0, 0, POLL_SECONDS]


def test_it_tries_again_soon_after_a_failure() -> None:
    assert pauses(relay(AuthzUnavailable("away"), 1), 2) == [FIRST_BACKOFF, 0]


def test_an_outage_is_told_once_with_what_is_away_and_its_end_is_too() -> None:
    loop = relay(AuthzUnavailable("a"), AuthzUnavailable("b"), 1, DatastoreUnavailable("c"), 0)
    with structlog.testing.capture_logs() as lines:
        pauses(loop, 5)
    events = [
        (line["event"], line.get("dependency")) for line in lines if line["event"] != "outbox_lag"
    ]
    assert events == [
        ("relay_cannot_drain", "spicedb"),
        ("outbox_drained", None),
        ("relay_drains_again", None),
        ("relay_cannot_drain", "postgres"),
        ("relay_drains_again", None),
    ]


def test_what_waits_long_or_is_parked_is_a_warning_now_and_then() -> None:
    clock = FakeClock()
    for lag, level in (
        (OutboxLag(1, 60.0, 0), "warning"),
        (OutboxLag(0, 0.0, 2), "warning"),
        (OutboxLag(3, 0.1, 0), "debug"),
    ):
        loop = relay(lag=lag, clock=clock)
        with structlog.testing.capture_logs() as lines:
            loop.step()
            loop.step()
            clock.now += LAG_EVERY
            loop.step()
        assert [line["log_level"] for line in lines] == [level] * 2
        assert lines[0]["parked"] == lag.parked
