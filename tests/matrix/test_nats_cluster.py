"""Events over a NATS cluster of three servers, of which one is killed: nothing is lost.

Part of `make matrix`.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import StreamInfo

from composer.errors import EventStreamUnavailable
from server.dev.nats import nats_server
from server.dev.parts import Part
from server.dev.ports import HOST, answers, free_ports
from server.dev.process import Command, Process, wait_until
from server.events.endpoint import NatsEndpoint
from server.events.nats import STREAM
from tests.integration.ledger_rows import Hand
from tests.integration.nats_fixtures import connected
from tests.integration.streamed_world import world
from tests.waiting import until

pytest_plugins = "tests.integration.ledger_fixtures"

SECONDS = 15.0
NAMES = ("n1", "n2", "n3")


class Cluster:
    """Three servers, each with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(6)
        clients, self._routes = ports[:3], ports[3:]
        self.endpoint = NatsEndpoint(tuple(f"nats://{HOST}:{port}" for port in clients))
        self.parts = {
            name: self._part(folder / name, name, *places)
            for name, *places in zip(NAMES, clients, self._routes, strict=True)
        }

    def _part(self, folder: Path, name: str, port: int, route: int) -> Part:
        folder.mkdir()
        routes = ", ".join(f'"nats-route://{HOST}:{other}"' for other in self._routes)
        configuration = folder / "nats.conf"
        configuration.write_text(
            f'listen: "{HOST}:{port}"\nserver_name: {name}\n'
            f'jetstream {{ store_dir: "{folder}/store" }}\n'
            f'cluster {{ name: plexsphere, listen: "{HOST}:{route}", routes: [{routes}] }}\n'
        )
        command = Command(
            name="nats",
            argv=[str(nats_server()), "-c", str(configuration)],
            env={},
            cwd=folder,
            death_signal=signal.SIGKILL,
            log=folder / "log",
        )
        return Part(
            name=name,
            port=port,
            stop_signal=signal.SIGTERM,
            launch=lambda: Process(command),
            ready=lambda process: wait_until(lambda: answers(port), process, SECONDS, "ready"),
        )

    def info(self) -> StreamInfo | None:
        """Of the stream of events; None while the cluster has no answer."""

        async def ask(client: Client) -> StreamInfo:
            return await client.jetstream().stream_info(STREAM)

        with connected(self.endpoint) as connection:
            try:
                return connection.call(ask, SECONDS)
            except EventStreamUnavailable:
                return None

    def is_whole(self) -> bool:
        """Whether every replica has everything."""
        info = self.info()
        if info is None or info.cluster is None:
            return False
        replicas = info.cluster.replicas or []
        return len(replicas) == 2 and all(replica.current for replica in replicas)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    with ExitStack() as parts:
        for part in made.parts.values():
            parts.callback(part.stop)
            part.start()
        yield made


@pytest.mark.timeout(400)  # three elections, and a replica that catches up after each
def test_one_of_three_servers_may_be_killed(emptied: Hand, cluster: Cluster) -> None:
    chance = random.Random(1)
    with world(emptied, cluster, replicas=3) as made:
        until(cluster.is_whole, "the stream has no three replicas")
        for _ in range(3):
            info = cluster.info()
            assert info is not None and info.cluster is not None and info.cluster.leader
            leader = cluster.parts[info.cluster.leader]
            leader.kill()
            for _ in range(3):
                made.write(chance)
                made.settle()
                assert made.differences() == []
            leader.start()
            until(cluster.is_whole, "the replica does not catch up")
            made.write(chance)
            made.settle()
            assert made.differences() == []
