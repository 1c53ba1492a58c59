"""A whole Domain from one moment: what each Node would pull, and what it was last granted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
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
from db.pool import ReadPool
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


@dataclass(frozen=True, slots=True)
class FleetNode:
    """One Node; implements handlers.current_digests.NodeSources, which raise CorruptLedger."""

    id: UUID
    name: str
    registered_at: datetime
    last_pull: LastPull | None
    read_reachability: Callable[[], ReachabilityRow]
    read_policies: Callable[[], tuple[RuleSetRow, ...]]
    read_bridge: Callable[[], BridgeRows | None]
    read_entries: Callable[[], tuple[EntryRow, ...]]

    def reachability(self) -> ReachabilityRow:
        """ReachabilitySource."""
        return self.read_reachability()

    def policies(self) -> tuple[RuleSetRow, ...]:
        """PolicySource."""
        return self.read_policies()

    def bridge(self) -> BridgeRows | None:
        """BridgeSource."""
        return self.read_bridge()

    def entries(self) -> tuple[EntryRow, ...]:
        """EntriesSource."""
        return self.read_entries()


@dataclass(frozen=True, slots=True)
class FleetMoment:
    """A Domain at ``at`` by the ledger's clock, Nodes in any order."""

    domain_id: UUID
    at: datetime
    peer_table: PeerTable
    nodes: Sequence[FleetNode]


class PostgresFleet:
    """One statement a Domain."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def of_domain(self, domain_id: UUID, deadline: Deadline) -> FleetMoment:
        """Raises DomainNotFound, DatastoreUnavailable, and CorruptLedger for peers that cannot be
        decoded; what else cannot be decoded is raised when it is asked for."""
        found = self._pool.fetch(FLEET_OF_DOMAIN, {"domain_id": str(domain_id)}, deadline)
        if not found:
            raise DomainNotFound(f"domain_id={domain_id}")
        members = [row for row in found if row[1] is not None]
        try:
            peers = rows.peer_rows("\n".join(row[1] for row in members), {}) if members else {}
        except rows.UNDECODABLE as cause:
            reason = type(cause).__name__
            raise CorruptLedger(f"domain_id={domain_id} row_set=peers reason={reason}") from None
        table = PeerTable(domain_id, NO_REVISION, tuple(peers.values()))
        decoding = _Decoding()
        nodes = [decoding.node(peers[row[1]].node_id, row) for row in members]
        return FleetMoment(domain_id, found[0][0], table, nodes)


class _Decoding:
    """Decodes a text once: most Nodes have the same policies, and no entries."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str | None], object] = {}

    def node(self, node_id: UUID, row: Row) -> FleetNode:
        reachability, policies, entries, bridge, name, created_at, *pull = row[2:]
        return FleetNode(
            node_id,
            name,
            created_at,
            None if pull[0] is None else LastPull(*pull),
            lambda: self._decoded(node_id, "reachability", rows.reachability_row, reachability),
            lambda: self._once(node_id, "policies", rows.rule_set_rows, policies),
            lambda: self._decoded(node_id, "bridge", rows.bridge_rows, bridge),
            lambda: self._once(node_id, "entries", rows.entry_rows, entries),
        )

    def _once(
        self, node_id: UUID, row_set: str, decode: Callable[[str | None], T], text: str | None
    ) -> T:
        key = (row_set, text)
        if key not in self._known:
            self._known[key] = self._decoded(node_id, row_set, decode, text)
        return self._known[key]  # type: ignore[return-value]

    def _decoded(
        self, node_id: UUID, row_set: str, decode: Callable[..., T], text: str | None
    ) -> T:
        try:
            return decode(text)
        except rows.UNDECODABLE as cause:
            # Not chained: the cause quotes what it could not decode.
            reason = type(cause).__name__
            raise CorruptLedger(f"node_id={node_id} row_set={row_set} reason={reason}") from None
