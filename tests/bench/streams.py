"""Event streams: what they cost while nothing happens, and how an event reaches all of them.

    make bench-streams            (COUNTS=1,100,10000 SECONDS=20)

All clients are in this one process and take CPU of the same machine. An event is the rotation of a
Node's key, over HTTP: the commit is at the answer. ``publish`` is the moment in the envelope. Pulls
are those of 16 Nodes whose desired state does not change (304), by wrk, before the streams are
opened and beside them. A row that cannot be had is a line that says what stopped it.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import select
import socket
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from server.dev.process import descendants
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.bench.driver import request_bytes
from tests.bench.load import Measured, load
from tests.bench.registry import numbers
from tests.bench.served import cpu_of
from tests.bodies import JSON, body_now
from tests.client import ask, bearer, pull_path
from tests.ledger_sql import run_sql

FOLDER = Path(__file__).resolve().parents[2] / ".dev" / "bench-streams"
AT_ONCE = 24  # openings under way
# Events of a row: more where there are few streams.
EVENTS, EVENTS_OF_MANY, MANY = 100, 30, 1_000
RELAY_INTERVAL = 0.1  # seconds between two looks of the relay into the ledger
PULLERS = 16
PULL_SECONDS = 10.0
BACKLOG = 2_000  # events that the relay publishes as fast as it can
PATIENCE_S = 60.0
# The frame that ends an opening.
LAST_ID = re.compile(rb"retry: \d+\nid: (\d+)\n\n")
ISSUED = re.compile(rb'"issued_at":"([^"]+)Z"')


class GivenUp(Exception):
    """A row that cannot be had; the message says what stopped it."""


@dataclass
class Held:
    """Clients that hold streams; ``arrived`` are the moments (Unix) of the event under way.

    A stream that ends before its client leaves is opened again, from its position, before the next
    event. ``refused`` counts the openings that were answered 503, and sent again at once.
    """

    target: tuple[str, int]
    poll: select.epoll = field(default_factory=select.epoll)
    sockets: dict[int, tuple[socket.socket, bytes]] = field(default_factory=dict)
    lost: list[bytes] = field(default_factory=list)  # requests of streams that have ended
    arrived: list[float] = field(default_factory=list)
    issued: float = 0.0
    last_id: bytes = b""  # the newest position of an opening
    ended: int = 0
    refused: int = 0

    def open(self, requests: Sequence[bytes]) -> float:
        """Open a stream for each request; seconds until all have had their opening."""
        began = newest = time.monotonic()
        waiting: dict[int, tuple[socket.socket, bytes, bytes]] = {}
        rest = list(requests)
        while rest or waiting:
            if time.monotonic() > newest + PATIENCE_S:
                missing = len(rest) + len(waiting)
                raise GivenUp(f"no stream was opened for {PATIENCE_S:.0f} s, {missing} are missing")
            while rest and len(waiting) < AT_ONCE:
                raw = socket.create_connection(self.target)
                request = rest.pop()
                raw.sendall(request)
                raw.setblocking(False)
                self.poll.register(raw, select.EPOLLIN)
                waiting[raw.fileno()] = raw, request, b""
            for number, _ in self.poll.poll(1):
                if number not in waiting:
                    self.read(number)
                    continue
                raw, request, received = waiting[number]
                data = raw.recv(65_536)
                received += data
                waiting[number] = raw, request, received
                if received.startswith(b"HTTP/1.1 503"):  # a dependency was too slow
                    self.refused += 1
                    del waiting[number]
                    self.poll.unregister(raw)
                    raw.close()
                    rest.append(request)
                    continue
                if not data or not received.startswith(b"HTTP/1.1 200"):
                    raise GivenUp(f"an opening was answered {received[:800]!r}")
                if opened := LAST_ID.search(received):
                    newest, self.last_id = time.monotonic(), opened[1]
                    self.sockets[number] = raw, request
                    del waiting[number]
        return time.monotonic() - began

    def read(self, number: int) -> bytes:
        """Bytes that a stream has sent; one that has ended is lost."""
        raw, request = self.sockets[number]
        data = raw.recv(65_536)
        if not data or data.endswith(b"0\r\n\r\n"):
            self.ended += 1
            self.lost.append(request)
            self.poll.unregister(raw)
            del self.sockets[number]
            raw.close()
        return data

    def complete(self) -> None:
        """Open the streams again that have ended."""
        for number, _ in self.poll.poll(0):
            self.read(number)
        lost, self.lost = self.lost, []
        self.open([resuming(request, self.last_id) for request in lost])

    def await_event(self) -> None:
        """Until every stream has the event but those that end meanwhile."""
        self.arrived, until = [], time.monotonic() + PATIENCE_S
        while len(self.arrived) < len(self.sockets):
            if time.monotonic() > until:
                raise GivenUp(f"{len(self.arrived)} of {len(self.sockets)} streams have the event")
            for number, _ in self.poll.poll(1):
                data = self.read(number)
                if b"event: " in data and number in self.sockets:
                    self.arrived.append(time.time())
                    if len(self.arrived) == 1:
                        self.issued = moment(data)

    def await_end(self) -> float:
        """Until a stream ends; the moment (Unix)."""
        ended, until = self.ended, time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for number, _ in self.poll.poll(1):
                self.read(number)
                if self.ended > ended:
                    return time.time()
        raise GivenUp("the stream of revoked credentials goes on")

    def leave(self) -> None:
        """Every client closes its stream."""
        for raw, _ in self.sockets.values():
            self.poll.unregister(raw)
            raw.close()
        self.sockets.clear()
        self.lost.clear()

    def close(self) -> None:
        self.leave()
        self.poll.close()


def resuming(request: bytes, position: bytes) -> bytes:
    """The request with the position after which its stream goes on."""
    head = request.partition(b"Last-Event-ID: ")[0].removesuffix(b"\r\n")
    return head + b"\r\nLast-Event-ID: " + position + b"\r\n\r\n"


def moment(data: bytes) -> float:
    """Of the envelope in a frame (Unix)."""
    found = ISSUED.search(data)
    assert found is not None
    return datetime.fromisoformat(found[1].decode()[:26] + "+00:00").timestamp()


def workers(stack: Stack) -> list[int]:
    return sorted(descendants(stack.gunicorn.pid))


def resident(pids: Sequence[int]) -> int:
    """Bytes that only these processes use."""
    total = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += sum(int(kb) * 1024 for kb in re.findall(r"Private_\w+:\s+(\d+) kB", text))
    return total


@dataclass(frozen=True)
class Row:
    """Of one number of streams. Times in milliseconds, from the commit or from the publish."""

    count: int
    opened: float
    resumed: float
    pulls: tuple[Measured, Measured]
    cpu_of_pulls: tuple[float, float]
    memory: float
    idle: float
    commit_to_first: tuple[float, float]
    first_100: float
    all: float
    revoked: float
    refused: int
    ended: int

    @property
    def milliseconds(self) -> tuple[float, ...]:
        return (*self.commit_to_first, self.first_100, self.all, self.revoked)


def pulled(stack: Stack, pids: Sequence[int]) -> tuple[Measured, float]:
    """Pulls as fast as they are answered, and the workers' CPU for each (ms)."""
    requests = []
    for number in range(stack.sample.nodes - PULLERS, stack.sample.nodes):
        node_id = str(stack.sample.node_id(number))
        headers = bearer(stack.token(f"node:{node_id}"))
        reply = ask(stack.url, pull_path(node_id), headers)
        assert reply.status == 200, reply.body
        known = {**headers, "If-None-Match": reply.headers["etag"]}
        requests.append(request_bytes(stack.url, pull_path(node_id), known))
    used = sum(map(cpu_of, pids))
    found = load(stack.url, requests, PULL_SECONDS, PULLERS)
    return found, 1000 * (sum(map(cpu_of, pids)) - used) / found.answers


def written(stack: Stack, path: str, headers: Mapping[str, str], *request: Any) -> float:
    """The moment of the answer (Unix). A dependency that is too slow is asked again."""
    while (reply := ask(stack.url, path, headers, *request)).status == 503:
        pass
    assert reply.status in (200, 204), reply.body
    return time.time()


def resumed(held: Held, requests: Sequence[bytes], rotate: Callable[[], object]) -> float:
    """Every client leaves, misses an event, and comes back with its last position; openings a
    second."""
    known = held.last_id
    held.leave()
    rotate()
    time.sleep(2)
    return len(requests) / held.open([resuming(request, known) for request in requests])


def published(stack: Stack) -> float:
    """Events a second that the relay brings to the stream."""
    run_sql(
        stack.dsn,
        "INSERT INTO plexsphere.node_state_entries (node_id, kind, key, value)"
        " SELECT n.id, 'metadata', 'bench', clock_timestamp()::text FROM plexsphere.nodes AS n"
        " LIMIT %s ON CONFLICT (node_id, kind, key) DO UPDATE SET value = EXCLUDED.value",
        (BACKLOG,),
    )
    began = time.monotonic()
    waiting = "SELECT count(*) FROM plexsphere.events WHERE published_at IS NULL"
    ((first,),) = run_sql(stack.dsn, waiting)
    while run_sql(stack.dsn, waiting)[0][0]:
        time.sleep(0.05)
    return float(first) / (time.monotonic() - began)


def measured(stack: Stack, count: int, seconds: float) -> Row:
    time.sleep(2)  # a credential that the row before has ended counts from the next second on
    node_ids = [str(stack.sample.node_id(number)) for number in range(1, count + 1)]
    requests = [
        f"GET /v1/nodes/{node_id}/events HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {stack.token(f'node:{node_id}')}\r\n\r\n".encode()
        for node_id in node_ids
    ]
    pids = workers(stack)
    alone = pulled(stack, pids)
    before = resident(pids)
    held = Held(("127.0.0.1", stack.gunicorn.port))
    try:
        opened = held.open(requests)
        time.sleep(2)
        memory = (resident(pids) - before) / count
        used = sum(map(cpu_of, pids))
        time.sleep(seconds)
        idle = (sum(map(cpu_of, pids)) - used) / seconds
        beside = pulled(stack, pids)
        first, hundredth, last = [], [], []
        rotating = str(stack.sample.node_id(count + 1))

        def rotate() -> float:
            """The moment of the answer."""
            headers = {**JSON, **bearer(stack.token(f"node:{rotating}"))}
            path = f"/v1/nodes/{rotating}/public-key"
            return written(stack, path, headers, "PUT", body_now("RotateNodeKey"))

        for _ in range(EVENTS if count < MANY else EVENTS_OF_MANY):
            held.complete()
            time.sleep(random.uniform(0.0, RELAY_INTERVAL))  # the relay must be at any of its steps
            committed = rotate()
            held.await_event()
            first.append(1000 * (held.arrived[0] - committed))
            hundredth.append(1000 * (held.arrived[min(count, 100) - 1] - held.issued))
            last.append(1000 * (held.arrived[-1] - held.issued))
        came_back = resumed(held, requests, rotate)
        path = f"/v1/nodes/{node_ids[0]}/credentials"
        committed = written(stack, path, bearer(stack.token(OPERATOR)), "DELETE")
        revoked = 1000 * (held.await_end() - committed)
        return Row(
            count,
            count / opened,
            came_back,
            (alone[0], beside[0]),
            (alone[1], beside[1]),
            memory,
            idle,
            (statistics.median(first), statistics.quantiles(first, n=100)[98]),
            statistics.median(hundredth),
            statistics.median(last),
            revoked,
            held.refused,
            held.ended - 1,  # the last one had to end
        )
    except GivenUp as error:
        facts = f"{held.refused} openings were 503, {held.ended} streams had ended"
        raise GivenUp(f"{count:,} streams: {error}; {facts}") from None
    finally:
        held.close()


def table_of(rows: Iterable[Row]) -> Table:
    table = Table(title="Event streams, two workers; times in ms")
    for column in (
        *("streams", "opened/s", "resumed/s", "openings 503", "ended", "KiB each"),
        *("idle CPU, cores", "pulls/s alone, beside", "refused", "CPU of a pull", "p99 of pulls"),
        *("commit to first p50", "p99", "to 100th", "to last", "revoked to end"),
    ):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row.count:,}",
            f"{row.opened:,.0f}",
            f"{row.resumed:,.0f}",
            f"{row.refused:,}",
            f"{row.ended:,}",
            f"{row.memory / 1024:,.1f}",
            f"{row.idle:.3f}",
            ", ".join(f"{pulls.per_second:,.0f}" for pulls in row.pulls),
            ", ".join(f"{pulls.refused + pulls.broken}" for pulls in row.pulls),
            ", ".join(f"{cpu:.2f}" for cpu in row.cpu_of_pulls),
            ", ".join(f"{pulls.p99_ms:,.0f}" for pulls in row.pulls),
            *(f"{value:,.0f}" for value in row.milliseconds),
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-streams")
    parser.add_argument("--counts", type=numbers(1, 15_000), default="1,100,10000")
    parser.add_argument("--seconds", type=numbers(1, 600), default="20")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    nodes = max(options.counts) + 64
    env = {"PLEXSPHERE_KEY_ROTATION_INTERVAL": "0"}
    with Stack(FOLDER, nodes=nodes, workers=2, env=env, nats=True, relay=True) as stack:
        time.sleep(5)  # the events of the sample leave
        print(f"the relay publishes {published(stack):,.0f} events a second")
        rows = []
        for count in options.counts:
            try:
                rows.append(measured(stack, count, options.seconds[0]))
            except GivenUp as error:
                print(error)
        Console(width=200).print(table_of(rows))
    load = ", ".join(f"{part:.2f}" for part in os.getloadavg())
    print(f"load average {load} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
