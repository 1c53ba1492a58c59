"""A whole Domain from one moment: what each Node would pull, and what it was last granted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from composer.bridge import BridgeRows
from composer.deadline import Deadline
from composer.entries import EntryRow
from composer.errors import CorruptLedger, DomainNotFound
from composer.policy import RuleSetRow
from composer.ports import PeerTable
from composer.reachability import ReachabilityRow
from db import rows
from db.connections import Row
from db.statements import Prepared

FLEET_OF_DOMAIN = Prepared("fleet_of_domain")
# What a digest says of the peers is their bytes: a revision would add nothing.
NO_REVISION = UUID(int=0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LastPull:
    """A row of ``plexsphere.node_pulls``: the digest, its last grant and its first in a row."""

    digest: str
    granted_at: datetime
    since: datetime


class Decoding:
    """Decodes a text once: most Nodes have the same policies, and no entries."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None], object] = {}

    def once(
        self, node_id: UUID, row_set: str, decode: Callable[[str | None], T], text: str | None
    ) -> T:
        """The same value again for the same text."""
        found = self._known.get((row_set, text))
        if found is None:
            found = self._known[row_set, text] = self.read(node_id, row_set, decode, text)
        return found  # type: ignore[return-value]

    def read(self, node_id: UUID, row_set: str, decode: Callable[..., T], text: str | None) -> T:
        """Raises CorruptLedger."""
        try:
            return decode(text)
        except rows.UNDECODABLE as cause:
            # Not chained: the cause quotes what it could not decode.
            reason = type(cause).__name__
            raise CorruptLedger(f"node_id={node_id} row_set={row_set} reason={reason}") from None


@dataclass(frozen=True, slots=True)
class FleetNode:
    """One Node; implements handlers.current_digests.NodeSources, which raise CorruptLedger.

    Its row sets are texts until they are asked for.
    """

    id: UUID
    name: str
    registered_at: datetime
    last_pull: LastPull | None
    texts: tuple[str, str | None, str | None, str | None]
    decoding: Decoding

    def reachability(self) -> ReachabilityRow:
        """ReachabilitySource."""
        return self.decoding.read(self.id, "reachability", rows.reachability_row, self.texts[0])

    def policies(self) -> tuple[RuleSetRow, ...]:
        """PolicySource."""
        return self.decoding.once(self.id, "policies", rows.rule_set_lines, self.texts[1])

    def entries(self) -> tuple[EntryRow, ...]:
        """EntriesSource."""
        return self.decoding.once(self.id, "entries", rows.entry_rows, self.texts[2])

    def bridge(self) -> BridgeRows | None:
        """BridgeSource."""
        return self.decoding.read(self.id, "bridge", rows.bridge_rows, self.texts[3])


@dataclass(frozen=True, slots=True)
class FleetMoment:
    """A Domain at ``at`` by the ledger's clock, Nodes in any order."""

    domain_id: UUID
    at: datetime
    peer_table: PeerTable
    nodes: Sequence[FleetNode]


class Reader(Protocol):
    """A ReadPool or a OneReader."""

    def fetch(
        self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline
    ) -> list[Row]: ...


class PostgresFleet:
    """One statement a Domain."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def of_domain(self, domain_id: UUID, deadline: Deadline) -> FleetMoment:
        """Raises DomainNotFound, DatastoreUnavailable, and CorruptLedger for peers that cannot be
        decoded; what else cannot be decoded is raised when it is asked for."""
        found = self._reader.fetch(FLEET_OF_DOMAIN, {"domain_id": str(domain_id)}, deadline)
        if not found:
            raise DomainNotFound(f"domain_id={domain_id}")
        members = [row for row in found if row[1] is not None]
        try:
            peers = rows.peer_rows("\n".join(row[1] for row in members), {}) if members else {}
        except rows.UNDECODABLE as cause:
            reason = type(cause).__name__
            raise CorruptLedger(f"domain_id={domain_id} row_set=peers reason={reason}") from None
        table = PeerTable(domain_id, NO_REVISION, tuple(peers.values()))
        decoding = Decoding()
        nodes = [_node(peers[row[1]].node_id, row, decoding) for row in members]
        return FleetMoment(domain_id, found[0][0], table, nodes)


def _node(node_id: UUID, row: Row, decoding: Decoding) -> FleetNode:
    reachability, policies, entries, bridge, name, created_at, *pull = row[2:]
    last_pull = None if pull[0] is None else LastPull(*pull)
    texts = (reachability, policies, entries, bridge)
    return FleetNode(node_id, name, created_at, last_pull, texts, decoding)
