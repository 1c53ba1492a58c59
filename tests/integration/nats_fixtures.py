"""A NATS server of the tests' own, with JetStream.

Test modules name this one in ``pytest_plugins``.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from server.dev.nats import NatsFiles, await_nats, start_nats
from server.dev.parts import Part
from server.dev.ports import HOST, free_ports
from server.events.endpoint import NatsEndpoint
from server.events.nats import STREAM, NatsConnection

FOLDER = Path(__file__).resolve().parents[2] / ".dev" / "test" / "nats"


class OwnNats:
    """An embedded NATS server that may be stopped, killed, frozen and restarted."""

    def __init__(self, folder: Path) -> None:
        files, port = NatsFiles(folder), free_ports(1)[0]
        self.store = folder / "store"
        self.part = Part(
            name="nats",
            port=port,
            stop_signal=signal.SIGTERM,
            launch=lambda: start_nats(files, port),
            ready=lambda process: await_nats(port, process),
        )
        self.endpoint = NatsEndpoint((f"nats://{HOST}:{port}",), files.credentials)


@contextmanager
def own_nats() -> Iterator[OwnNats]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=FOLDER))
    server = OwnNats(folder)
    server.part.start()
    try:
        yield server
    finally:
        server.part.stop()
        rmtree(folder)


@pytest.fixture(scope="session")
def session_nats() -> Iterator[OwnNats]:
    with own_nats() as server:
        yield server


@pytest.fixture
def nats(session_nats: OwnNats) -> Iterator[OwnNats]:
    """Running, without the stream of events."""
    if session_nats.part.process is None:
        session_nats.part.start()
    yield session_nats
    if session_nats.part.process is None:
        session_nats.part.start()
    with connected(session_nats.endpoint) as connection:
        connection.call(_without_stream, 5.0)


async def _without_stream(client: Client) -> None:
    with suppress(NotFoundError):
        await client.jsm().delete_stream(STREAM)


@contextmanager
def connected(endpoint: NatsEndpoint) -> Iterator[NatsConnection]:
    connection = NatsConnection(endpoint, "test", lambda trouble: None)
    try:
        yield connection
    finally:
        connection.close()
