"""Small Domains that the ledger tests start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from composer.peers import PeerRow
from db.ledger import PostgresLedger, PostgresLedgerView
from db.pool import ReadPool
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time


class Home:
    """A Domain of three Nodes; the first is the addressed one."""

    def __init__(self, dsn: str) -> None:
        self.hand = Hand(dsn)
        self.domain = self.hand.domain()
        self.nodes = [self.hand.node(self.domain, number) for number in (1, 2, 3)]
        self.pool = ReadPool(dsn, 4, 5.0)
        self.ledger = PostgresLedger(self.pool)

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
