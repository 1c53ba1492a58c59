"""Thirty-line stands-in for the ports, for unit tests only; conformance suites keep them honest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from composer.bridge import BridgeRows
from composer.deadline import Deadline
from composer.entries import EntryRow
from composer.errors import NodeNotFound
from composer.identity import AddressedNode, Principal
from composer.peers import PeerRow
from composer.policy import RuleSetRow
from composer.ports import AuditRow, PeerTable
from composer.reachability import ReachabilityRow

EPOCH = datetime(2026, 11, 23, 7, 0, 0, tzinfo=UTC)
REVISION = UUID("00000000-0000-4000-8000-00000000000a")


@dataclass
class FakeClock:
    """Seconds that pass only when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeRelationChecker:
    """Allows exactly the granted (subject, relation, resource) triples; ``fails`` is raised first.

    ``revoked_at_least`` are triples still granted to ``check`` and no longer at their token.
    """

    grants: set[tuple[str, str, str]] = field(default_factory=set)
    revoked_at_least: set[tuple[str, str, str]] = field(default_factory=set)
    fails: Exception | None = None
    calls: list[tuple[str, str, str]] = field(default_factory=list)

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        triple = (principal.subject, relation, resource)
        self.calls.append(triple)
        if self.fails is not None:
            raise self.fails
        return triple in self.grants

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        triple = (principal.subject, relation, resource)
        return self.check(principal, relation, resource, deadline) and (
            triple not in self.revoked_at_least
        )


@dataclass
class FakeNodeRepo:
    """Holds Nodes by id."""

    nodes: dict[UUID, AddressedNode] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[UUID] = field(default_factory=list)

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        self.calls.append(node_id)
        if self.fails is not None:
            raise self.fails
        if node_id not in self.nodes:
            raise NodeNotFound(f"node_id={node_id}")
        return self.nodes[node_id]


@dataclass(frozen=True)
class FakeView:
    """All five row sets, as given."""

    table: PeerTable
    reach: ReachabilityRow = field(default_factory=lambda: ReachabilityRow("healthy", EPOCH, EPOCH))
    rule_sets: tuple[RuleSetRow, ...] = ()
    bridge_rows: BridgeRows | None = None
    entry_rows: tuple[EntryRow, ...] = ()

    def peers(self) -> PeerTable:
        return self.table

    def reachability(self) -> ReachabilityRow:
        return self.reach

    def policies(self) -> Sequence[RuleSetRow]:
        return self.rule_sets

    def bridge(self) -> BridgeRows | None:
        return self.bridge_rows

    def entries(self) -> Sequence[EntryRow]:
        return self.entry_rows


@dataclass
class FakeLedger:
    """One view for every Node of one Domain."""

    shown: FakeView
    fails: Exception | None = None
    calls: list[tuple[UUID, UUID]] = field(default_factory=list)

    @classmethod
    def of(cls, domain_id: UUID, rows: Sequence[PeerRow], **blocks: object) -> FakeLedger:
        view = FakeView(PeerTable(domain_id, REVISION, tuple(rows)))
        return cls(replace(view, **blocks))  # type: ignore[arg-type]

    def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> FakeView:
        self.calls.append((node_id, domain_id))
        if self.fails is not None:
            raise self.fails
        if all(row.node_id != node_id for row in self.shown.table.rows):
            raise NodeNotFound(f"node_id={node_id}")
        return self.shown


@dataclass
class FakeAuditSink:
    """Keeps rows in order; ``fails`` breaks the promise never to raise."""

    rows: list[AuditRow] = field(default_factory=list)
    fails: Exception | None = None

    def record(self, row: AuditRow) -> None:
        if self.fails is not None:
            raise self.fails
        self.rows.append(row)


@dataclass
class FakeDropReporter:
    """Keeps what was dropped: (outcome, domain, addressed Node, peer)."""

    drops: list[tuple[str, UUID, UUID, UUID]] = field(default_factory=list)

    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None:
        self.drops.append((outcome, domain_id, addressed_node_id, peer_node_id))
