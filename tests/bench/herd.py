"""Many requests at once, each on a connection of its own, from one process without threads."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.bench.driver import read_head

BUFFER = bytearray(1 << 18)


class _Asking:
    """One request: ``left`` bytes of its answer are still to come; None before its head."""

    __slots__ = ("head", "left", "raw", "status")

    def __init__(self, target: tuple[str, int]) -> None:
        self.raw = socket.create_connection(target, timeout=30)
        self.raw.setblocking(False)
        self.head = b""
        self.left: int | None = None
        self.status = ""

    def read(self) -> bool:
        """Whether the answer is whole. Raises OSError, ValueError."""
        while True:
            try:
                size = self.raw.recv_into(BUFFER)
            except BlockingIOError:
                return False
            if not size:
                raise ConnectionResetError("closed before the end")
            if self.left is None:
                self.head += bytes(memoryview(BUFFER)[:size])
                end = self.head.find(b"\r\n\r\n")
                if end < 0:
                    continue
                self.status, length = read_head(self.head[: end + 4])
                self.left = length - (len(self.head) - end - 4)
            else:
                self.left -= size
            if self.left <= 0:
                return True


def ask_all(target: tuple[str, int], requests: Sequence[bytes], patience: float) -> dict[str, Any]:
    """Answers by status, and the seconds in which half of them and all of them came.

    The time counts from the first byte that is sent, when all connections stand.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    poller = select.epoll()
    asking = [_Asking(target) for _ in requests]
    by_place = {each.raw.fileno(): each for each in asking}
    statuses: Counter[str] = Counter()
    ends: list[float] = []
    began = time.monotonic()
    for each, request in zip(asking, requests, strict=True):
        each.raw.send(request)
        poller.register(each.raw, select.EPOLLIN)
    while by_place and time.monotonic() - began < patience:
        for place, _ in poller.poll(1.0, 256):
            each = by_place[place]
            try:
                if not each.read():
                    continue
                statuses[each.status] += 1
            except (OSError, ValueError):
                statuses["broken"] += 1
            ends.append(time.monotonic() - began)
            poller.unregister(place)
            del by_place[place]
            each.raw.close()
    for each in by_place.values():
        each.raw.close()
        statuses["no answer"] += 1
    poller.close()
    ends.sort()
    return {
        "statuses": dict(statuses),
        "half_s": round(ends[len(ends) // 2], 2) if ends else None,
        "last_s": round(ends[-1], 2) if ends else None,
    }
