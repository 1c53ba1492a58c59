"""The clock that only a test moves, over sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from server.dev.movable_clock import MovableClock
from server.dev.stack import Stack
from tests.heartbeats import beat, changed
from tests.stacks import running_stack


@pytest.fixture(scope="module")
def moved() -> Iterator[Stack]:
    with running_stack("moved-time", nodes=8, test_clock=True) as stack:
        yield stack


@pytest.fixture
def time(moved: Stack) -> MovableClock:
    assert moved.test_clock is not None
    return moved.test_clock


def at(moment: datetime) -> bytes:
    return changed(client_now=moment.isoformat())


def test_a_heartbeat_is_accepted_at_the_moved_moment(moved: Stack, time: MovableClock) -> None:
    first = beat(moved, at(time.now()))
    time.forward(300)
    second = beat(moved, at(time.now()))
    assert (first.status, second.status) == (200, 200)
    passed = datetime.fromisoformat(second.json["accepted_at"]) - datetime.fromisoformat(
        first.json["accepted_at"]
    )
    assert passed >= timedelta(seconds=300)


def test_an_agent_that_time_has_left_behind_is_told_so(moved: Stack, time: MovableClock) -> None:
    left_behind = time.now()
    time.forward(120)
    reply = beat(moved, at(left_behind))
    assert (reply.status, reply.code) == (400, "clock_skew")


def test_a_service_whose_time_is_moved_says_so_at_boot(moved: Stack) -> None:
    lines = (moved.places.gunicorn / "gunicorn.log").read_text().splitlines()
    (warning,) = [json.loads(line) for line in lines if '"test_clock_moves_time"' in line]
    assert (warning["level"], warning["path"]) == ("warning", str(moved.places.test_clock))


def test_a_service_in_real_time_says_nothing_of_it(stack: Stack) -> None:
    assert "test_clock" not in (stack.places.gunicorn / "gunicorn.log").read_text()
