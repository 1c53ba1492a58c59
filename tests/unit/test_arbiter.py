"""The order in which the master sees to its signals."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from typing import Any

from server.gunicorn.arbiter import PatientArbiter

HUP, TERM, TTIN, CHLD = signal.SIGHUP, signal.SIGTERM, signal.SIGTTIN, signal.SIGCHLD


def order(*signals: int) -> list[int]:
    arbiter: Any = object.__new__(PatientArbiter)
    arbiter.SIG_QUEUE = SimpleQueue()
    for sig in signals:
        arbiter.SIG_QUEUE.put(sig)
    found: list[int] = arbiter.wait_for_signals()
    return found


def test_a_master_that_is_told_to_end_does_not_reload_before() -> None:
    assert order(HUP, CHLD, TERM)[0] == TERM


def test_reloads_that_wait_are_one() -> None:
    assert order(HUP, HUP, CHLD, HUP) == [CHLD, HUP]


def test_each_worker_that_is_asked_for_counts() -> None:
    assert order(TTIN, TTIN) == [TTIN, TTIN]
