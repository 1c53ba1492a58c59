"""A frozen SpiceDB holds some of the request threads, never all of them."""

import threading
from contextlib import ExitStack

import pytest

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from server.authz.bulkhead import Bulkhead
from tests.fakes import FakeClock


class Ship:
    """A bulkhead of two permits whose waiting takes no time: the tests' patience is zero."""

    def __init__(self, patience_s: float = 0.0) -> None:
        self.clock = FakeClock()
        self.bulkhead = Bulkhead(2, patience_s, clock=self.clock)

    def deadline(self, seconds: float = 3.0) -> Deadline:
        return Deadline.after(seconds, self.clock)

    def enter(self, seconds: float = 3.0) -> None:
        with self.bulkhead.permit(self.deadline(seconds)):
            pass

    def fail(self) -> None:
        with pytest.raises(AuthzUnavailable), self.bulkhead.permit(self.deadline()):
            raise AuthzUnavailable("SpiceDB: DEADLINE_EXCEEDED")


def test_there_are_as_many_permits_as_said() -> None:
    ship = Ship()
    with ExitStack() as held:
        held.enter_context(ship.bulkhead.permit(ship.deadline()))
        held.enter_context(ship.bulkhead.permit(ship.deadline()))
        with pytest.raises(AuthzUnavailable):
            ship.enter()
    ship.enter()


def test_a_permit_comes_back_whatever_happened_inside() -> None:
    ship = Ship()
    for _ in range(5):
        ship.fail()
        with pytest.raises(ZeroDivisionError), ship.bulkhead.permit(ship.deadline()):
            _ = 1 // 0
    with ship.bulkhead.permit(ship.deadline()):
        ship.enter()


def test_who_finds_no_permit_in_trouble_is_refused_at_once() -> None:
    """An hour of patience: this would hang were it to wait."""
    ship = Ship(patience_s=3600)
    ship.fail()
    with (
        ship.bulkhead.permit(ship.deadline(7200)),
        ship.bulkhead.permit(ship.deadline(7200)),
        pytest.raises(AuthzUnavailable, match="in trouble"),
    ):
        ship.enter(7200)


def test_who_finds_a_permit_in_trouble_may_try() -> None:
    ship = Ship()
    ship.fail()
    ship.enter()


def test_trouble_ends_after_a_second_or_with_a_success() -> None:
    ship = Ship()
    ship.fail()
    assert ship.bulkhead.in_trouble()
    ship.clock.now += 0.99
    assert ship.bulkhead.in_trouble()
    ship.clock.now += 0.01
    assert not ship.bulkhead.in_trouble()
    ship.fail()
    ship.enter()
    assert not ship.bulkhead.in_trouble()


def test_patience_that_ran_out_is_trouble_for_the_next() -> None:
    ship = Ship(patience_s=0.01)
    with ship.bulkhead.permit(ship.deadline()), ship.bulkhead.permit(ship.deadline()):
        with pytest.raises(AuthzUnavailable, match="no permit"):
            ship.enter()
        assert ship.bulkhead.in_trouble()
        with pytest.raises(AuthzUnavailable, match="in trouble"):
            ship.enter()


def test_who_waits_while_calls_succeed_goes_on_waiting_and_is_no_trouble() -> None:
    """The clock stands still: the last success is never longer ago than the patience."""
    ship = Ship(patience_s=0.01)
    ship.enter()
    done = threading.Event()
    with ship.bulkhead.permit(ship.deadline()), ExitStack() as held:
        held.enter_context(ship.bulkhead.permit(ship.deadline()))

        def wait() -> None:
            ship.enter()
            done.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not done.wait(0.2)
        held.close()
        assert done.wait(10)
        thread.join(10)
    assert not ship.bulkhead.in_trouble()


def test_a_crowd_that_outlasts_the_deadline_of_one_is_no_trouble_for_the_next() -> None:
    ship = Ship(patience_s=0.01)
    ship.enter()
    with (
        ship.bulkhead.permit(ship.deadline()),
        ship.bulkhead.permit(ship.deadline()),
        pytest.raises(AuthzUnavailable, match="no permit"),
    ):
        ship.enter(seconds=0.0)
    assert not ship.bulkhead.in_trouble()


def test_nobody_waits_beyond_the_deadline() -> None:
    ship = Ship(patience_s=3600)
    with (
        ship.bulkhead.permit(ship.deadline()),
        ship.bulkhead.permit(ship.deadline()),
        pytest.raises(AuthzUnavailable),
    ):
        ship.enter(seconds=0.01)


def test_a_permit_that_comes_free_is_taken_by_who_waits() -> None:
    ship = Ship(patience_s=10)
    entered = threading.Event()
    first, second = (ship.bulkhead.permit(ship.deadline()) for _ in range(2))
    first.__enter__()
    second.__enter__()

    def wait() -> None:
        ship.enter(seconds=10)
        entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not entered.is_set()
    first.__exit__(None, None, None)
    assert entered.wait(10)
    second.__exit__(None, None, None)
    thread.join(10)


def test_a_bulkhead_without_permits_is_not_built() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Bulkhead(0)
