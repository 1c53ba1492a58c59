"""A SpiceDB that does not answer occupies some of the request threads, never all of them."""

import threading
from contextlib import ExitStack

import pytest

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from db.timing import SPICEDB_WAIT
from server.authz.concurrency import ConcurrencyLimit
from tests.fakes import FakeClock


class Calls:
    """A limit of two calls; a caller without a permit waits for no time unless a test says so."""

    def __init__(self, wait_s: float = 0.0) -> None:
        self.clock = FakeClock()
        self.waits: list[tuple[str, float, float]] = []
        self.limit = ConcurrencyLimit(2, wait_s, clock=self.clock, timed=self.timed)

    def timed(self, stage: str, began: float, ended: float) -> None:
        self.waits.append((stage, began, ended))

    def deadline(self, seconds: float = 3.0) -> Deadline:
        return Deadline.after(seconds, self.clock)

    def enter(self, seconds: float = 3.0) -> None:
        with self.limit.permit(self.deadline(seconds)):
            pass

    def fail(self) -> None:
        with pytest.raises(AuthzUnavailable), self.limit.permit(self.deadline()):
            raise AuthzUnavailable("SpiceDB: DEADLINE_EXCEEDED")


def test_there_are_as_many_permits_as_said() -> None:
    calls = Calls()
    with ExitStack() as resources:
        resources.enter_context(calls.limit.permit(calls.deadline()))
        resources.enter_context(calls.limit.permit(calls.deadline()))
        with pytest.raises(AuthzUnavailable):
            calls.enter()
    calls.enter()


def test_a_permit_comes_back_whatever_happened_inside() -> None:
    calls = Calls()
    for _ in range(5):
        calls.fail()
        with pytest.raises(ZeroDivisionError), calls.limit.permit(calls.deadline()):
            _ = 1 // 0
    with calls.limit.permit(calls.deadline()):
        calls.enter()


def test_who_finds_no_permit_in_trouble_is_refused_at_once() -> None:
    """The wait is an hour: the test would hang if it waited."""
    calls = Calls(wait_s=3600)
    calls.fail()
    with (
        calls.limit.permit(calls.deadline(7200)),
        calls.limit.permit(calls.deadline(7200)),
        pytest.raises(AuthzUnavailable, match="in trouble"),
    ):
        calls.enter(7200)


def test_who_finds_a_permit_in_trouble_may_try() -> None:
    calls = Calls()
    calls.fail()
    calls.enter()


def test_trouble_ends_after_a_second_or_with_a_success() -> None:
    calls = Calls()
    calls.fail()
    assert calls.limit.in_trouble()
    calls.clock.now += 0.99
    assert calls.limit.in_trouble()
    calls.clock.now += 0.01
    assert not calls.limit.in_trouble()
    calls.fail()
    calls.enter()
    assert not calls.limit.in_trouble()


def test_a_wait_that_ended_without_a_permit_is_trouble_for_the_next() -> None:
    calls = Calls(wait_s=0.01)
    with calls.limit.permit(calls.deadline()), calls.limit.permit(calls.deadline()):
        with pytest.raises(AuthzUnavailable, match="no permit"):
            calls.enter()
        assert calls.limit.in_trouble()
        with pytest.raises(AuthzUnavailable, match="in trouble"):
            calls.enter()


def test_who_waits_while_calls_succeed_goes_on_waiting_and_is_no_trouble() -> None:
    """The clock stands still: the last success is never longer ago than the wait."""
    calls = Calls(wait_s=0.01)
    calls.enter()
    done = threading.Event()
    with calls.limit.permit(calls.deadline()), ExitStack() as resources:
        resources.enter_context(calls.limit.permit(calls.deadline()))

        def wait() -> None:
            calls.enter()
            done.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not done.wait(0.2)
        resources.close()
        assert done.wait(10)
        thread.join(10)
    assert not calls.limit.in_trouble()


def test_a_crowd_that_outlasts_the_deadline_of_one_is_no_trouble_for_the_next() -> None:
    calls = Calls(wait_s=0.01)
    calls.enter()
    with (
        calls.limit.permit(calls.deadline()),
        calls.limit.permit(calls.deadline()),
        pytest.raises(AuthzUnavailable, match="no permit"),
    ):
        calls.enter(seconds=0.0)
    assert not calls.limit.in_trouble()


def test_nobody_waits_beyond_the_deadline() -> None:
    calls = Calls(wait_s=3600)
    with (
        calls.limit.permit(calls.deadline()),
        calls.limit.permit(calls.deadline()),
        pytest.raises(AuthzUnavailable),
    ):
        calls.enter(seconds=0.01)
    assert [stage for stage, _, _ in calls.waits] == [SPICEDB_WAIT]


def test_a_permit_that_comes_free_is_taken_by_who_waits() -> None:
    calls = Calls(wait_s=10)
    entered = threading.Event()
    first, second = (calls.limit.permit(calls.deadline()) for _ in range(2))
    first.__enter__()
    second.__enter__()

    def wait() -> None:
        calls.enter(seconds=10)
        entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not entered.is_set()
    first.__exit__(None, None, None)
    assert entered.wait(10)
    second.__exit__(None, None, None)
    thread.join(10)


def test_a_limit_without_permits_is_not_built() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ConcurrencyLimit(0)
