"""A Postgres of the ledger tests' own, and databases on it, empty or migrated.

Test modules name this one in ``pytest_plugins``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from db.connections import ReadSession
from db.migrate import migrate
from db.pool import Pool, read_pool
from server.dev.parts import Part
from server.dev.ports import free_ports
from server.dev.postgres import Cluster
from tests.integration.ledger_places import Gates, Home, Place, Reads
from tests.integration.ledger_rows import Hand
from tests.stacks import copy_cluster

FOLDER = Path(__file__).resolve().parents[2] / ".dev" / "test" / "ledger"

# Else a process starts every 10 s for each database of the session, of which there are a hundred.
SETTINGS = {"autovacuum_naptime": "1h"}

FreshDatabase = Callable[[], str]


class OwnPostgres:
    """An embedded Postgres that may be stopped, frozen and restarted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        copy_cluster(folder)
        self.cluster = Cluster(folder, free_ports(1)[0], SETTINGS)
        self.part = Part(
            name="postgres",
            port=self.cluster.port,
            stop_signal=signal.SIGINT,
            launch=self.cluster.start,
            ready=self.cluster.wait_ready,
        )
        self._names = count()
        self._migrated: str | None = None

    def fresh_database(self) -> str:
        """The DSN of a new, empty database."""
        return self._database()

    def migrated_database(self) -> str:
        """The DSN of a new database with every migration: a copy costs a third of them."""
        if self._migrated is None:
            self._migrated = self.fresh_database()
            migrate(self._migrated)
        return self._database(f"TEMPLATE {parse_dsn(self._migrated)['dbname']}")

    def _database(self, options: str = "") -> str:
        name = f"fresh_{next(self._names)}"
        connection = psycopg2.connect(make_dsn(self.cluster.dsn, dbname="postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name} {options}")
        finally:
            connection.close()
        return str(make_dsn(self.cluster.dsn, dbname=name))


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """In a folder of this process's own, which goes with it: sessions may run side by side."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=FOLDER, prefix=f"{os.getpid()}-"))
    own = OwnPostgres(folder)
    try:
        own.part.start()
        yield own
    finally:
        own.part.stop()
        rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ledger_postgres() -> Iterator[OwnPostgres]:
    """Shared by the session: leave it running."""
    with own_postgres() as running:
        yield running


@pytest.fixture(scope="session")
def breakable_postgres() -> Iterator[OwnPostgres]:
    """For tests that stop and freeze it: leave it running, and thawed."""
    with own_postgres() as running:
        yield running


@pytest.fixture
def fresh_database(ledger_postgres: OwnPostgres) -> FreshDatabase:
    """A factory of empty databases."""
    return ledger_postgres.fresh_database


@pytest.fixture
def migrated_database(ledger_postgres: OwnPostgres) -> FreshDatabase:
    """A factory of databases with every migration."""
    return ledger_postgres.migrated_database


@pytest.fixture(scope="module")
def ledger_dsn(ledger_postgres: OwnPostgres) -> str:
    """A migrated database that a test module has to itself."""
    return ledger_postgres.migrated_database()


@pytest.fixture
def hand(ledger_dsn: str) -> Iterator[Hand]:
    """Writes to the module's ledger."""
    with closing(Hand(ledger_dsn)) as made:
        yield made


@pytest.fixture
def pool(ledger_dsn: str) -> Iterator[Pool[ReadSession]]:
    """Reads the module's ledger."""
    with closing(read_pool(ledger_dsn, size=2, statement_timeout=5.0)) as made:
        yield made


@pytest.fixture
def gates(ledger_dsn: str) -> Iterator[Gates]:
    """Open again in the end."""
    found = Gates(ledger_dsn)
    yield found
    found.open()
    found.close()


@pytest.fixture
def emptied(ledger_dsn: str, gates: Gates) -> Iterator[Hand]:
    """Writes to the module's ledger, which is empty."""
    with closing(Hand(ledger_dsn)) as made:
        for table in ("nodes", "domains", "audit_rows"):
            made.run(f"DELETE FROM plexsphere.{table}")
        yield made


@pytest.fixture
def place(hand: Hand) -> Place:
    """A Domain with a bridge Node, an assigned peer and a Node apart."""
    domain = hand.domain()
    host, peer, other = (hand.node(domain, number) for number in (1, 2, 3))
    resource = hand.bridge(host)
    hand.assign(resource, peer)
    return Place(hand, domain, host, peer, other, resource)


@pytest.fixture
def home(ledger_dsn: str) -> Iterator[Home]:
    """A Domain of three Nodes and a ledger that reads it."""
    with closing(Home(ledger_dsn)) as made:
        yield made


@pytest.fixture
def reads(ledger_dsn: str) -> Iterator[Reads]:
    made = Reads(ledger_dsn)
    yield made
    made.pool.close()
