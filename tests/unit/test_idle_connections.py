"""Connections are opened beside the requests: by threads of their own, for whoever comes first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from db.errors import DeadlineExceeded
from db.idle_connections import IDLE_AGE, LEAST_IDLE, MAX_AGE, IdleConnections
from tests.fakes import FakeClock
from tests.ports.deadlines import in_time
from tests.waiting import until

SIZE = 3


class Opened:
    """A connection that notes its end."""

    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class Postgres:
    """Lets connections in while it ``may_answer``, or raises ``error``."""

    def __init__(self) -> None:
        self.opened: list[Opened] = []
        self.threads: list[threading.Thread] = []
        self.may_answer = threading.Event()
        self.error: Exception | None = None

    def connect(self) -> Any:
        self.threads.append(threading.current_thread())
        assert self.may_answer.wait(10)
        if self.error is not None:
            raise self.error
        self.opened.append(Opened())
        return self.opened[-1]


@pytest.fixture
def postgres() -> Postgres:
    return Postgres()


@pytest.fixture
def idle(postgres: Postgres) -> IdleConnections:
    return IdleConnections(postgres.connect, SIZE, FakeClock())


def test_who_gives_up_leaves_the_connection_to_the_next(
    postgres: Postgres, idle: IdleConnections
) -> None:
    with pytest.raises(DeadlineExceeded):
        idle.take(in_time(0.01))
    assert len(postgres.threads) == 1
    assert threading.current_thread() not in postgres.threads
    postgres.may_answer.set()
    assert idle.take(in_time()).connection is postgres.opened[0]


def test_one_is_opened_before_it_is_needed_and_never_more_than_there_may_be(
    postgres: Postgres, idle: IdleConnections
) -> None:
    postgres.may_answer.set()
    for number in range(1, SIZE + 1):
        idle.take(in_time())
        wanted = min(number + 1, SIZE)
        until(lambda wanted=wanted: len(postgres.opened) == wanted, "connections")  # type: ignore[misc]
    with pytest.raises(DeadlineExceeded):
        idle.take(in_time(0.01))
    assert len(postgres.opened) == SIZE


def test_a_connection_that_comes_back_ends_a_wait(
    postgres: Postgres, idle: IdleConnections
) -> None:
    postgres.may_answer.set()
    taken = [idle.take(in_time()) for _ in range(SIZE)]
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(idle.take, in_time())
        until(lambda: idle._waiting == 1, "a waiter")
        idle.give(taken[0])
        assert waiting.result() is taken[0]


def test_each_who_waits_gets_the_error_of_an_attempt_and_later_ones_do_not(
    postgres: Postgres, idle: IdleConnections
) -> None:
    postgres.error = OSError("refused")
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(idle.take, in_time()) for _ in range(2)]
        until(lambda: idle._waiting == 2, "two waiters")
        postgres.may_answer.set()
        assert [type(future.exception()) for future in waiting] == [OSError, OSError]
    postgres.error = None
    assert idle.take(in_time()).connection is postgres.opened[0]


def test_a_connection_that_ended_makes_room_for_another(
    postgres: Postgres, idle: IdleConnections
) -> None:
    postgres.may_answer.set()
    taken = [idle.take(in_time()) for _ in range(SIZE)]
    idle.drop(taken[0])
    assert postgres.opened[0].is_closed
    assert idle.take(in_time()).connection is postgres.opened[SIZE]


def test_a_caller_that_waits_while_the_pool_is_closed_gets_a_connection_of_after_that(
    postgres: Postgres, idle: IdleConnections
) -> None:
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(idle.take, in_time())
        until(lambda: bool(postgres.threads), "an attempt")
        idle.close()
        postgres.may_answer.set()
        taken = waiting.result()
    assert postgres.opened[0].is_closed
    assert taken.connection is postgres.opened[1]


def test_what_is_too_old_or_of_a_closed_pool_is_not_kept(postgres: Postgres) -> None:
    postgres.may_answer.set()
    clock = FakeClock()
    idle = IdleConnections(postgres.connect, 1, clock)
    old = idle.take(in_time())
    clock.now += MAX_AGE
    idle.give(old)
    of_before = idle.take(in_time())
    idle.close()
    idle.give(of_before)
    kept = idle.take(in_time())
    idle.give(kept)
    idle.close()
    assert [opened.is_closed for opened in postgres.opened] == [True, True, True]


def test_connections_that_nobody_used_for_long_are_closed_but_for_a_few(
    postgres: Postgres,
) -> None:
    postgres.may_answer.set()
    clock = FakeClock()
    idle = IdleConnections(postgres.connect, LEAST_IDLE + 2, clock)
    for pooled in [idle.take(in_time()) for _ in range(LEAST_IDLE + 2)]:
        pooled.used_at = clock.now
        idle.give(pooled)
    clock.now += IDLE_AGE + 1
    for _ in range(LEAST_IDLE + 2):
        pooled = idle.take(in_time())
        pooled.used_at = clock.now
        idle.give(pooled)
    assert [opened.is_closed for opened in postgres.opened] == [True, True, False, False]
