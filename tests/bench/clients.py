"""One honest client's answers beside many clients that are slow, silent, gone or greedy.

    make bench-clients            (COUNTS=64,256 SECONDS=5)

The honest client asks for /livez and pulls in turn, each on a connection of its own. All clients
are on loopback, in this one process; slow ones cost no thread. Bounded by their number and seconds.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from rich.console import Console
from rich.table import Table

from server.dev.stack import Stack
from tests.client import ask, pull_path

ROOT = Path(__file__).resolve().parents[2]
NODES = 1_000  # a pull is more than the kernel takes of a client that reads little
PATIENCE_S = 20.0  # of the honest client
TICK_S = 0.25  # how often a slow client sends or reads a byte
Target = tuple[str, int]


@dataclass(frozen=True)
class Kind:
    """A kind of client: what it sends first, then each tick; and how much it reads each tick.

    With ``leaves`` it closes at once and another comes; ``greedy`` ones ask again as soon as they
    are answered.
    """

    first: bytes = b""
    then: bytes = b""
    reads: int = 0
    leaves: bool = False
    greedy: bool = False
    small_segments: bool = False


def kinds(stack: Stack) -> dict[str, Kind]:
    """By what they do."""
    head = f"GET {pull_path(stack.node_id)} HTTP/1.1\r\nHost: x\r\n"
    pull = f"{head}Authorization: Bearer {stack.token()}\r\n\r\n".encode()
    short = b"GET /v1/version HTTP/1.1\r\nHost: x\r\n"
    post = f"POST /v1/nodes/{stack.node_id}/heartbeat HTTP/1.1\r\nHost: x\r\n".encode()
    return {
        "nobody": Kind(),
        "silent": Kind(),
        "idle after an answer": Kind(short + b"\r\n", reads=65_536),
        "a head, byte by byte": Kind(short + b"X-Slow: ", b"x"),
        "a body, byte by byte": Kind(post + b"Content-Length: 8000\r\n\r\n", b"x"),
        "chunks, byte by byte": Kind(post + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        "reads little": Kind(pull, reads=64, small_segments=True),
        "reads nothing": Kind(pull, small_segments=True),
        "close, and does not": Kind(short + b"Connection: close\r\n\r\n"),
        "asks and leaves": Kind(pull, leaves=True),
        "asks all the time": Kind(pull, reads=65_536, greedy=True),
    }


class Crowd(threading.Thread):
    """Clients of one kind, all of them in one thread."""

    def __init__(self, target: Target, kind: Kind, count: int) -> None:
        super().__init__(daemon=True)
        self._target = target
        self._kind = kind
        self._clients = [self._connect() for _ in range(count)]
        self._done = threading.Event()

    def _connect(self) -> socket.socket:
        raw = socket.socket()
        if self._kind.small_segments:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
        raw.settimeout(5)
        with suppress(OSError):
            raw.connect(self._target)
            raw.sendall(self._kind.first)
        raw.setblocking(False)
        return raw

    def run(self) -> None:
        """Until it is ended. Who is closed by the server comes again."""
        while not self._done.wait(0.01 if self._kind.greedy else TICK_S):
            ready = set(select.select(self._clients, [], [], 0)[0]) if self._kind.greedy else set()
            for place, client in enumerate(self._clients):
                if self._kind.leaves or not self._act(client, client in ready):
                    client.close()
                    self._clients[place] = self._connect()

    def _act(self, client: socket.socket, is_ready: bool) -> bool:
        """Whether the connection stands."""
        kind = self._kind
        try:
            if kind.then:
                client.send(kind.then)
            if kind.reads and (is_ready or not kind.greedy):
                if not client.recv(kind.reads):
                    return False
                if kind.greedy:
                    self._read_on(client)
                    client.send(kind.first)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def _read_on(self, client: socket.socket) -> None:
        with suppress(BlockingIOError):
            while client.recv(65_536):
                pass

    def end(self) -> None:
        self._done.set()
        self.join()
        for client in self._clients:
            client.close()


@dataclass(frozen=True)
class Seen:
    """The honest client's answers: milliseconds of each, and the number that did not come."""

    livez: list[float]
    pulls: list[float]
    unanswered: int


def honest(stack: Stack, seconds: float) -> Seen:
    """One request after the other."""
    livez: list[float] = []
    pulls: list[float] = []
    unanswered = 0
    until = time.monotonic() + seconds
    requests: list[tuple[list[float], Callable[[], int]]] = [
        (livez, lambda: ask(stack.url, "/livez").status),
        (pulls, lambda: ask(stack.url, pull_path(stack.node_id), stack.headers).status),
    ]
    while time.monotonic() < until:
        for answers, request in requests:
            began = time.monotonic()
            try:
                is_answered = request() == 200
            except (OSError, HTTPException):
                is_answered = False
            answers.append((time.monotonic() - began) * 1000)
            unanswered += not is_answered
            time.sleep(0.02)
    return Seen(livez, pulls, unanswered)


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-clients")
    parser.add_argument("--counts", default="64,256")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--kinds", default="", help="comma-separated; empty: all")
    options = parser.parse_args()
    table = Table("kind", "clients", "/livez ms", "longest", "pull ms", "longest", "unanswered")
    rows = []
    with Stack(ROOT / ".dev" / "bench-clients", nodes=NODES, workers=2) as stack:
        target = ("127.0.0.1", stack.gunicorn.port)
        for name, kind in kinds(stack).items():
            if options.kinds and name not in options.kinds.split(","):
                continue
            for count in map(int, options.counts.split(",")):
                crowd = Crowd(target, kind, 0 if name == "nobody" else count)
                crowd.start()
                seen = honest(stack, options.seconds)
                crowd.end()
                figures = [middle(seen.livez), max(seen.livez), middle(seen.pulls), max(seen.pulls)]
                row = [
                    name,
                    str(count),
                    *(f"{figure:.0f}" for figure in figures),
                    str(seen.unanswered),
                ]
                table.add_row(*row)
                rows.append(row)
                print("  ".join(row), flush=True)
    Console(width=120).print(table)
    (ROOT / ".dev" / "bench-clients.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
