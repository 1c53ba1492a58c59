"""Waits for many sockets at once, in a number of steps that no crowd makes long."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
# The events of one wait. epoll passes on the others first at the next one.
MOST_EVENTS = 256

OnEvent = Callable[[int], None]


class Poller:
    """epoll with a function for each descriptor, and a way to end its wait."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._on_event: dict[int, OnEvent] = {}
        self._wakes, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.register(self._wakes, READ, self._drain_wakes)

    def register(self, descriptor: int, mask: int, on_event: OnEvent) -> None:
        """Call ``on_event`` with what has happened of ``mask``; an error counts as both."""
        self._epoll.register(descriptor, mask)
        self._on_event[descriptor] = on_event

    def modify(self, descriptor: int, mask: int) -> None:
        """Wait for something else."""
        self._epoll.modify(descriptor, mask)

    def unregister(self, descriptor: int) -> None:
        """Watch a descriptor no longer, before it is closed."""
        self._epoll.unregister(descriptor)
        del self._on_event[descriptor]

    def wait(self, seconds: float) -> list[tuple[OnEvent, int]]:
        """The functions that are due, each with its mask."""
        found = self._epoll.poll(seconds, MOST_EVENTS)
        return [(self._on_event[descriptor], mask) for descriptor, mask in found]

    def wake(self) -> None:
        """End a wait; from any thread and from signal handlers."""
        with suppress(OSError):  # a full pipe wakes as well
            os.write(self._woken, b"\0")

    def close(self) -> None:
        """Close what it has opened itself."""
        self._epoll.close()
        os.close(self._wakes)
        os.close(self._woken)

    def _drain_wakes(self, mask: int) -> None:
        with suppress(BlockingIOError):
            os.read(self._wakes, 4096)
