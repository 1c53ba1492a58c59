"""One time budget per request, on a clock that comes along."""

from __future__ import annotations

import pytest

from composer.deadline import Deadline
from tests.fakes import FakeClock


def test_a_deadline_has_what_is_left_of_its_budget() -> None:
    clock = FakeClock(100.0)
    deadline = Deadline.after(3.0, clock)
    clock.now += 1.25
    assert deadline.remaining() == 1.75


@pytest.mark.parametrize("late", [0.0, 0.001, 1000.0])
def test_a_spent_budget_is_never_below_zero(late: float) -> None:
    clock = FakeClock(100.0)
    deadline = Deadline.after(3.0, clock)
    clock.now += 3.0 + late
    assert deadline.remaining() == 0.0


@pytest.mark.parametrize(("share", "left"), [(1.0, 1.0), (3.0, 3.0), (10.0, 3.0), (0.0, 0.0)])
def test_a_share_of_a_budget_ends_no_later_than_the_budget(share: float, left: float) -> None:
    assert Deadline.after(3.0, FakeClock()).at_most(share).remaining() == left


def test_a_share_is_counted_from_when_it_is_taken() -> None:
    clock = FakeClock(100.0)
    deadline = Deadline.after(3.0, clock)
    clock.now += 1.0
    share = deadline.at_most(1.0)
    clock.now += 0.5
    assert (share.remaining(), deadline.remaining()) == (0.5, 1.5)
