"""A SpiceDB of the tests' own, and who may what on it.

Test modules name this one in ``pytest_plugins``.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from composer.deadline import Deadline
from composer.identity import Principal, PrincipalKind, node_object
from server.authz.admin import SpiceDbAdmin
from server.authz.channel import SpiceDbChannel
from server.authz.checker import SpiceDbChecker
from server.authz.concurrency import ConcurrencyLimit
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.tuples import RelationTuple, TupleWriter
from server.dev.commands import Places, spicedb_command
from server.dev.ports import HOST, answers, free_ports
from server.dev.process import Process, wait_until

KEY = "preshared"
PERMITS = 4


class SpiceDb:
    """An embedded SpiceDB without tuples on a port of its own, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder)
        self.places.spicedb.mkdir(parents=True)
        self.places.spicedb_token.write_text(KEY)
        self.places.tuples.write_text("")
        (self.port,) = free_ports(1)
        self.start()
        self.channel = self.connect()
        self.writer = TupleWriter(self.channel)
        self.admin = SpiceDbAdmin(self.channel)

    def start(self) -> None:
        self.process = Process(spicedb_command(self.places, f"{HOST}:{self.port}"))
        wait_until(lambda: answers(self.port), self.process, 30, "listening")

    def kill(self) -> None:
        self.process.kill()

    def freeze(self) -> None:
        self.process.signal_family(signal.SIGSTOP)
        # The signal is sent, not yet heeded: on a busy machine a thread may still answer.
        tasks = list(Path(f"/proc/{self.process.pid}/task").iterdir())
        wait_until(lambda: all(map(is_stopped, tasks)), self.process, 10, "frozen")

    def thaw(self) -> None:
        self.process.signal_family(signal.SIGCONT)

    def connect(self, key: str = KEY, timeout: float = 1.0) -> SpiceDbChannel:
        return SpiceDbChannel(SpiceDbEndpoint(f"{HOST}:{self.port}", key, insecure=True), timeout)

    def checker(self, timeout: float = 1.0) -> SpiceDbChecker:
        return SpiceDbChecker(self.connect(timeout=timeout), ConcurrencyLimit(PERMITS))


def is_stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


@contextmanager
def spicedb_in(folder: Path) -> Iterator[SpiceDb]:
    running = SpiceDb(folder)
    try:
        yield running
    finally:
        running.channel.close()
        running.kill()


@pytest.fixture(scope="module")
def spicedb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpiceDb]:
    """Shared: tests use Nodes of their own and thaw what they freeze."""
    with spicedb_in(tmp_path_factory.mktemp("spicedb")) as running:
        yield running


def soon(seconds: float = 10.0) -> Deadline:
    return Deadline.after(seconds, time.monotonic)


def node_principal(node: UUID) -> Principal:
    return Principal(PrincipalKind.NODE, str(node))


def grant(spicedb: SpiceDb, subject: str, relation: str, resource: str) -> str:
    token = spicedb.writer.touch([RelationTuple(resource, relation, subject)], soon())
    assert token is not None
    return token


def own_agent(spicedb: SpiceDb) -> Principal:
    """A new Node that is its own agent."""
    node = uuid4()
    grant(spicedb, node_object(node), "agent", node_object(node))
    return node_principal(node)
