"""Small Domains that the ledger tests start from."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from psycopg2.extensions import make_dsn, parse_dsn

from composer.deadline import Deadline
from composer.peers import PeerRow
from db.ledger import PostgresLedger, PostgresLedgerView
from db.nodes import PostgresNodeRepo
from db.pool import read_pool
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

PLACES = 2


class Home:
    """A Domain of three Nodes; the first is the addressed one."""

    def __init__(self, dsn: str) -> None:
        self.hand = Hand(dsn)
        self.domain = self.hand.domain()
        self.nodes = [self.hand.node(self.domain, number) for number in (1, 2, 3)]
        self.pool = read_pool(dsn, 4, 5.0)
        self.ledger = PostgresLedger(self.pool, cached_rows=200_000)

    def view(self) -> PostgresLedgerView:
        return self.ledger.view(self.nodes[0], self.domain, in_time())

    def peer(self, index: int) -> PeerRow:
        found = [row for row in self.view().peers().rows if row.node_id == self.nodes[index]]
        return found[0]

    def set(self, index: int, **columns: Any) -> None:
        names = ", ".join(f"{name} = %s" for name in columns)
        self.hand.run(
            f"UPDATE plexsphere.nodes SET {names} WHERE id = %s",
            *columns.values(),
            self.nodes[index],
        )

    def close(self) -> None:
        self.pool.close()
        self.hand.close()


@dataclass(frozen=True, slots=True)
class Place:
    """A Domain with a bridge Node, an assigned peer and a Node that has nothing to do with it."""

    hand: Hand
    domain: UUID
    host: UUID
    peer: UUID
    other: UUID
    resource: UUID

    def changes(self, sql: str, *arguments: object) -> bool:
        """Whether the statement gave the Domain another revision."""
        before = self.hand.revision(self.domain)
        self.hand.run(sql, *arguments)
        return self.hand.revision(self.domain) != before


class Clock:
    """The real one, which a test may set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Reads:
    """A ledger of one Node, and a pool that reads it."""

    def __init__(self, dsn: str) -> None:
        with closing(Hand(dsn)) as hand:
            self.domain = hand.domain()
            self.node = hand.node(self.domain)
        self.dsn = dsn
        self.clock = Clock()
        self.name = f"test {uuid4()}"
        self.pool = read_pool(dsn, PLACES, 5.0, application_name=self.name, clock=self.clock)
        self.repo = PostgresNodeRepo(self.pool)
        self.ledger = PostgresLedger(self.pool, cached_rows=200_000)

    def lookup(self, seconds: float = 10.0) -> UUID:
        return self.repo.get_by_id(self.node, Deadline.after(seconds, time.monotonic)).domain_id

    def backends(self) -> list[int]:
        """The server processes behind the pool's connections."""
        with closing(Hand(self.dsn)) as hand:
            found = hand.run(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s ORDER BY pid",
                self.name,
            )
        return [row[0] for row in found]

    def cut(self) -> None:
        """Ends every connection of the pool from the server's side."""
        with closing(Hand(self.dsn)) as hand:
            for pid in self.backends():
                hand.run("SELECT pg_terminate_backend(%s, 5000)", pid)


class Gates:
    """Opens and shuts a database, as far as its clients can tell."""

    def __init__(self, dsn: str) -> None:
        self._name = parse_dsn(dsn)["dbname"]
        self._hand = Hand(make_dsn(dsn, dbname="postgres"))

    def close(self) -> None:
        self._hand.close()

    def open(self) -> None:
        self._hand.run(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS true")

    def shut(self) -> None:
        self._hand.run(f"ALTER DATABASE {self._name} ALLOW_CONNECTIONS false")
        self._hand.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            self._name,
        )
