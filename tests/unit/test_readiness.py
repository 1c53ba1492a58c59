"""/readyz answers from memory: the last turn of each probe, and the pulls of the last seconds."""

from __future__ import annotations

import threading
import time

import pytest

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from server.telemetry import readiness
from server.telemetry.probes import Degraded, Down, Probe
from server.telemetry.readiness import (
    FRESH_SECONDS,
    PROOF_SECONDS,
    AnsweredPulls,
    BackgroundProbe,
    unless_answered,
)
from tests.fakes import FakeClock
from tests.ports.deadlines import in_time


def raising(error: Exception) -> Probe:
    def probe(deadline: Deadline) -> None:
        raise error

    return probe


def fine(deadline: Deadline) -> None:
    """Answers."""


def test_many_askers_wait_for_one_probe_and_have_its_result() -> None:
    asked: list[int] = []
    may_answer = threading.Event()

    def slow(deadline: Deadline) -> None:
        asked.append(1)
        may_answer.wait(10)
        raise Down("as found")

    probe = BackgroundProbe("slow", slow)
    found: list[str] = []

    def ask() -> None:
        with pytest.raises(Down) as raised:
            probe(in_time())
        found.append(str(raised.value))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    may_answer.set()
    for thread in threads:
        thread.join(10)
    assert (found, len(asked)) == (["as found"] * 8, 1)


def test_a_probe_that_hangs_keeps_nobody_beyond_the_deadline_and_its_old_result_expires() -> None:
    clock = FakeClock()
    is_over = threading.Event()

    def probe(deadline: Deadline) -> None:
        if clock.now > 1000:
            is_over.wait(10)

    watched = BackgroundProbe("hanging", probe, clock)
    watched(in_time())
    clock.now += FRESH_SECONDS - 0.1
    watched(in_time(0))
    clock.now += 0.2
    with pytest.raises(Down, match="does not answer"):
        watched(in_time(0))
    is_over.set()


def test_a_probe_that_nobody_asks_for_ends_and_begins_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readiness, "ASKED_SECONDS", -1.0)
    turns: list[str] = []
    watched = BackgroundProbe("ending", lambda deadline: turns.append("turn"))
    watched(in_time())
    until = time.monotonic() + 10
    while watched._pid and time.monotonic() < until:
        time.sleep(0.001)
    watched(in_time())
    assert len(turns) == 2


@pytest.mark.parametrize("fault", [Down("x"), AuthzUnavailable("hunter2"), KeyError("hunter2")])
def test_what_refuses_a_probe_and_serves_pulls_is_degraded(fault: Exception) -> None:
    clock = FakeClock()
    pulls = AnsweredPulls(clock)
    probe = unless_answered(raising(fault), pulls)
    with pytest.raises(type(fault)):
        probe(in_time())
    pulls.note(304)
    with pytest.raises(Degraded, match="pulls are answered"):
        probe(in_time())
    clock.now += PROOF_SECONDS
    with pytest.raises(type(fault)):
        probe(in_time())


def test_a_pull_that_is_refused_ends_the_proof_and_one_that_is_forbidden_is_none() -> None:
    pulls = AnsweredPulls(FakeClock())
    pulls.note(200)
    pulls.note(403)
    assert pulls.are_recent
    pulls.note(503)
    assert not pulls.are_recent
    pulls.note(403)
    assert not pulls.are_recent


def test_pulls_are_unauthorized_from_a_401_to_the_next_answer() -> None:
    clock = FakeClock()
    pulls = AnsweredPulls(clock)
    assert not pulls.are_unauthorized()
    pulls.note(200)
    pulls.note(401)
    assert not pulls.are_unauthorized()
    clock.now += PROOF_SECONDS
    assert pulls.are_unauthorized()
    pulls.note(304)
    assert not pulls.are_unauthorized()


def test_a_probe_that_answers_is_ok_whatever_the_pulls_do() -> None:
    unless_answered(fine, AnsweredPulls(FakeClock()))(in_time())
