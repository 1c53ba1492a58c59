"""A number of clients on a loopback URL, each with one request under way, from one process.

For requests that no two may be alike and whose answers' statuses count; ``load`` is for others.
Found on a busy two-core machine, same server, same minute: a thread for each client and a
connection for each request, as this was once, gave little more than half the floor's rate: it
measured itself. Kept connections under asyncio cost a tenth of
a core at a thousand requests a second and agree with ``wrk`` and a lua script that makes the keys,
floor and registrations alike, to within what two runs of either differ; so more processes have
nothing to win. ``wrk`` is cheaper still, but tells no 200 from a 201, and not every machine has it.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_S = 20.0
NO_ANSWER = "no answer"
MOST_BYTES = 1 << 25
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

Source = Callable[[], bytes | None]
"""The bytes of the next request; None when there is none left, which ends the clients."""


@dataclass(frozen=True, slots=True)
class Driven:
    """The result: seconds of each wanted answer, and the number of others by status."""

    latencies: Sequence[float]
    others: Mapping[str, int]
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Of the answers that were wanted."""
        return len(self.latencies) / self.seconds

    @property
    def own_share(self) -> float:
        """Of one core, what driving itself took."""
        return self.cpu_seconds / self.seconds

    def milliseconds(self, share: float) -> float:
        """The latency that ``share`` of the wanted answers do not exceed; 0 without an answer."""
        if not self.latencies:
            return 0.0
        rank = max(math.ceil(share * len(self.latencies)), 1)
        return sorted(self.latencies)[rank - 1] * 1000

    @property
    def refused(self) -> str:
        """``0``, or ``503: 2, no answer: 1``."""
        return ", ".join(f"{status}: {times}" for status, times in self.others.items()) or "0"


def request_bytes(
    url: str, path: str, headers: Mapping[str, str], body: bytes | None = None
) -> bytes:
    """A POST; without a body a GET."""
    lines = ["POST" if body is not None else "GET", f" {path} HTTP/1.1\r\n"]
    lines.append(f"Host: {urlsplit(url).netloc}\r\n")
    lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}\r\n")
    return "".join([*lines, "\r\n"]).encode() + (body or b"")


def drive(
    url: str,
    requests: Source,
    wanted: int,
    clients: int,
    seconds: float,
    keep: Callable[[bytes], object] = len,
) -> Driven:
    """Bounded by ``seconds`` and the last requests' own time. Refuses any host but loopback.

    ``keep`` is called with the body of each answer of the ``wanted`` status.
    """
    if urlsplit(url).hostname != "127.0.0.1":
        raise ValueError("load goes to loopback only")
    latencies: list[float] = []
    others: Counter[str] = Counter()
    cpu, began = time.process_time(), time.perf_counter()

    async def client() -> None:
        connection = _Connection(url)
        while time.perf_counter() < began + seconds and (raw := requests()) is not None:
            sent = time.perf_counter()
            status, body = await connection.answer(raw)
            if status == str(wanted):
                latencies.append(time.perf_counter() - sent)
                keep(body)
            else:
                others[status] += 1
        connection.close()

    async def all_clients() -> None:
        await asyncio.gather(*(client() for _ in range(clients)))

    asyncio.run(all_clients())
    # A client that is told no at once must not make this zero.
    took = max(time.perf_counter() - began, 1e-9)
    return Driven(latencies, others, took, time.process_time() - cpu)


class _Connection:
    """Kept while the server keeps it."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def answer(self, raw: bytes) -> tuple[str, bytes]:
        """Status and body; NO_ANSWER after a pause that keeps a dead server from being stormed."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._answer(raw)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            self.close()
            await asyncio.sleep(0.1)
            return NO_ANSWER, b""

    async def _answer(self, raw: bytes) -> tuple[str, bytes]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._url.hostname, self._url.port, limit=MOST_BYTES
            )
        self._writer.write(raw)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, length = read_head(head)
        body = await self._reader.readexactly(length)
        if b"\r\nconnection: close\r\n" in head.lower():
            self.close()
        return status, body

    def close(self) -> None:
        if self._writer is not None:
            with suppress(RuntimeError):
                self._writer.close()
        self._reader = self._writer = None


def read_head(head: bytes) -> tuple[str, int]:
    """The status, and how long the body is. Raises ValueError where the answer does not say."""
    length = _LENGTH.search(head)
    if length is None or not head.startswith(b"HTTP/1.1 "):
        raise ValueError(f"no answer with a length: {head[:80]!r}")
    return head[9:12].decode(), int(length[1])
