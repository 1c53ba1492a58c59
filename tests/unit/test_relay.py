"""The relay's rhythm: at once while there is work, slower and slower while something is away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable, DatastoreUnavailable
from db.outbox import Lag
from server.workers.relay import FIRST_BACKOFF, LAG_EVERY, LONGEST_BACKOFF, POLL_SECONDS, Relay
from tests.fakes import FakeClock


@dataclass
class Scripted:
    """Each turn's rows or error, in order; then nothing waits."""

    turns: list[int | Exception] = field(default_factory=list)

    def drain(self, limit: int, deadline: Deadline) -> int:
        one = self.turns.pop(0) if self.turns else 0
        if isinstance(one, Exception):
            raise one
        return one


def relay(
    *turns: int | Exception, lag: Lag = Lag(0, 0.0, 0), clock: FakeClock | None = None
) -> Relay:
    return Relay(Scripted(list(turns)), lambda deadline: lag, clock or FakeClock())


def pauses(one: Relay, turns: int) -> Sequence[float]:
    return [one.turn() for _ in range(turns)]


def test_it_goes_on_at_once_while_there_is_work_and_polls_when_there_is_none() -> None:
    assert pauses(relay(3, 200, 0), 3) == [0, 0, POLL_SECONDS]


def test_it_backs_off_to_a_bound_and_starts_anew_after_a_success() -> None:
    away = AuthzUnavailable("away")
    waits = pauses(relay(*[away] * 6, 1, away), 8)
    assert waits[:3] == [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF]
    assert waits[5] == LONGEST_BACKOFF
    assert waits[6:] == [0, FIRST_BACKOFF]


def test_an_outage_is_told_once_with_what_is_away_and_its_end_is_too() -> None:
    one = relay(AuthzUnavailable("a"), AuthzUnavailable("b"), 1, DatastoreUnavailable("c"), 0)
    with structlog.testing.capture_logs() as lines:
        pauses(one, 5)
    said = [
        (line["event"], line.get("dependency")) for line in lines if line["event"] != "outbox_lag"
    ]
    assert said == [
        ("relay_cannot_drain", "spicedb"),
        ("outbox_drained", None),
        ("relay_drains_again", None),
        ("relay_cannot_drain", "postgres"),
        ("relay_drains_again", None),
    ]


def test_what_waits_long_or_is_parked_is_a_warning_now_and_then() -> None:
    clock = FakeClock()
    for lag, level in (
        (Lag(1, 60.0, 0), "warning"),
        (Lag(0, 0.0, 2), "warning"),
        (Lag(3, 0.1, 0), "debug"),
    ):
        one = relay(lag=lag, clock=clock)
        with structlog.testing.capture_logs() as lines:
            one.turn()
            one.turn()
            clock.now += LAG_EVERY
            one.turn()
        assert [line["log_level"] for line in lines] == [level] * 2
        assert lines[0]["parked"] == lag.parked
