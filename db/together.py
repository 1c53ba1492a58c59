"""Requests that take turns on one thread, so that one wait serves all of them.

Each runs until it asks a question that can be asked together with others (db/coalescing.py). Once
all of them have asked, their questions are one call, and the thread waits once in place of each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

# Sees to it that each of these questions has its outcome, and raises nothing.
Settle = Callable[[Sequence[Any]], None]


# Greenlets that a thread keeps for its next requests.
KEPT = 8


class _Turns(threading.local):
    """The turns of a thread. ``asked`` has each question since the last call, with its request;
    ``last`` has the requests that go on when no other has a question."""

    hub: greenlet | None = None
    asked: list[tuple[Settle, Any, greenlet]]
    last: list[greenlet]

    def __init__(self) -> None:
        self.free: list[greenlet] = []


_turns = _Turns()


def run_together(requests: Sequence[Callable[[], object]]) -> None:
    """Answer requests, which raise nothing."""
    _turns.hub = hub = getcurrent()
    _turns.asked, _turns.last = [], []
    try:
        for request in requests:
            turn = _turns.free.pop() if _turns.free else greenlet(_take_requests, hub)
            turn.switch(request)
        while _turns.asked or _turns.last:
            if not _turns.asked:
                _turns.last.pop(0).switch()
                continue
            settle = _turns.asked[0][0]
            ours = [entry for entry in _turns.asked if entry[0] == settle]
            _turns.asked = [entry for entry in _turns.asked if entry[0] != settle]
            settle([question for _, question, _ in ours])
            for _, _, request in ours:
                request.switch()
    finally:
        _turns.hub = None


def _take_requests(request: Callable[[], object]) -> None:
    """Answer one request after another: the stack of a new greenlet is mapped and unmapped."""
    request()
    while len(_turns.free) < KEPT:
        assert _turns.hub is not None
        _turns.free.append(getcurrent())
        _turns.hub.switch()()


def take_turns() -> bool:
    """Whether the requests of this thread take turns."""
    return _turns.hub is not None


def wait_for_others(settle: Settle, question: Any) -> None:
    """Let the other requests of this thread go on until ``question`` has its outcome."""
    assert _turns.hub is not None
    _turns.asked.append((settle, question, getcurrent()))
    _turns.hub.switch()


def go_last() -> None:
    """Let the other requests of this thread go on first, because this one may wait long."""
    if _turns.hub is not None:
        _turns.last.append(getcurrent())
        _turns.hub.switch()
