"""A caller waits for the connection of another as long as connections come back."""

from __future__ import annotations

import threading

import pytest

from db import pool
from db.errors import NoFreeConnection
from db.pool import ConnectionSlots
from tests.fakes import FakeClock
from tests.ports.deadlines import in_time
from tests.waiting import until


class Counted(FakeClock):
    """Notes how often it was read."""

    reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return super().__call__()


def test_a_caller_waits_until_its_deadline_while_connections_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "TROUBLE", 0.01)
    clock = Counted()
    slots = ConnectionSlots(1, None, clock)
    slots.take(in_time())
    waiting = threading.Thread(target=slots.take, args=(in_time(),))
    waiting.start()
    until(lambda: clock.reads > 10, "several waits without a connection")
    slots.release(None)
    waiting.join()
    with pytest.raises(NoFreeConnection):
        slots.take(in_time(0.05))
