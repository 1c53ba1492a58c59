"""Small fakes of the ports, for unit tests only; the conformance suites keep them honest.

Those of one subject stand in ``credential_fakes``, ``domain_fakes`` and ``node_fakes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from composer.audit import AuditedWrite, AuditRow
from composer.bridge import BridgeRows
from composer.deadline import Deadline
from composer.entries import EntryRow
from composer.errors import (
    AuthzUnavailable,
    DatastoreUnavailable,
    DomainNotFound,
    NodeNotFound,
)
from composer.identity import (
    AddressedNode,
    Principal,
)
from composer.last_answers import KeptAnswer, KeptBlock
from composer.limits import Limit
from composer.peers import DomainPeers, PeerRow, PeerTable
from composer.policy import RuleSetRow
from composer.position import LedgerPosition
from composer.reachability import ReachabilityRow
from composer.snapshot import NodeStateSnapshot
from handlers.service import HealthCheck
from tests.factories import EPOCH, REVISION

Triple = tuple[str, str, str]


@dataclass
class FakeClock:
    """Seconds that pass only when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeRelationChecker:
    """Allows exactly the granted (subject, relation, resource) triples; ``fails`` is raised first.

    ``revoked_at_least`` are triples still granted to ``check`` and no longer at their token;
    ``revoked_at`` are tokens at which nothing is granted; ``fails_at_least`` is raised by
    ``check_at_least`` and ``check_now`` alone. ``calls`` and its siblings keep who asked what,
    ``calls_at_least`` with the token.
    """

    grants: set[Triple] = field(default_factory=set)
    revoked_at_least: set[Triple] = field(default_factory=set)
    revoked_at: set[str] = field(default_factory=set)
    fails: Exception | None = None
    fails_at_least: Exception | None = None
    calls: list[Triple] = field(default_factory=list)
    calls_at_least: list[tuple[str, str, str, str]] = field(default_factory=list)
    calls_now: list[Triple] = field(default_factory=list)
    yes_at: dict[Triple, str] = field(default_factory=dict)

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        triple = (principal.subject, relation, resource)
        self.calls.append(triple)
        raise_if_late(deadline, AuthzUnavailable("no time left"), self.fails)
        return triple in self.grants

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        triple = (principal.subject, relation, resource)
        self.calls_at_least.append((*triple, token))
        raise_if_late(deadline, AuthzUnavailable("no time left"), self.fails_at_least or self.fails)
        allowed = triple in self.grants - self.revoked_at_least and token not in self.revoked_at
        if allowed:
            self.yes_at[triple] = token
        else:
            self.yes_at.pop(triple, None)
        return allowed

    def last_token(self, principal: Principal, relation: str, resource: str) -> str | None:
        return self.yes_at.get((principal.subject, relation, resource))

    def check_now(
        self, principal: Principal, relation: str, resource: str, deadline: Deadline
    ) -> bool:
        triple = (principal.subject, relation, resource)
        self.calls_now.append(triple)
        raise_if_late(deadline, AuthzUnavailable("no time left"), self.fails_at_least or self.fails)
        return triple in self.grants - self.revoked_at_least

    def objects_of(
        self, principal: Principal, relation: str, kind: str, deadline: Deadline
    ) -> frozenset[UUID]:
        raise_if_late(deadline, AuthzUnavailable("no time left"), self.fails_at_least or self.fails)
        # The newest revision is later than every token.
        granted = set() if self.revoked_at else self.grants - self.revoked_at_least
        resources = [r for s, rel, r in granted if (s, rel) == (principal.subject, relation)]
        named = (resource.split(":") for resource in resources)
        return frozenset(UUID(id) for found, id in named if found == kind)


@dataclass
class FakeNodeRepo:
    """Holds Nodes by id."""

    nodes: dict[UUID, AddressedNode] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[UUID] = field(default_factory=list)

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        self.calls.append(node_id)
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.nodes:
            raise NodeNotFound(f"node_id={node_id}")
        return self.nodes[node_id]

    def get_for_snapshot(
        self, node_id: UUID, deadline: Deadline, presented: LedgerPosition | None = None
    ) -> AddressedNode:
        return self.get_by_id(node_id, deadline)


@dataclass(frozen=True)
class FakeView:
    """All five row sets, as given."""

    table: PeerTable
    reach: ReachabilityRow = field(default_factory=lambda: ReachabilityRow("healthy", EPOCH, EPOCH))
    rule_sets: tuple[RuleSetRow, ...] = ()
    bridge_rows: BridgeRows | None = None
    entry_rows: tuple[EntryRow, ...] = ()
    position: LedgerPosition | None = None

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

    def add(self, node_id: UUID, public_key: bytes, mesh_ip: str) -> None:
        """One more Node of the Domain, from another revision on."""
        table = self.shown.table
        rows = (*table.rows, PeerRow(node_id, mesh_ip, public_key))
        self.shown = replace(self.shown, table=PeerTable(table.domain_id, node_id, rows))

    def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> FakeView:
        self.calls.append((node_id, domain_id))
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        held = {row.node_id for row in self.shown.table.rows}
        if node_id not in held or domain_id != self.shown.table.domain_id:
            raise NodeNotFound(f"node_id={node_id} domain_id={domain_id}")
        return self.shown

    def peers(self, domain_id: UUID, deadline: Deadline) -> PeerTable:
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if domain_id != self.shown.table.domain_id:
            raise DomainNotFound(f"domain_id={domain_id}")
        return self.shown.table


@dataclass
class FakeSnapshotProvider:
    """Holds snapshots by (Node, Domain)."""

    given: dict[tuple[UUID, UUID], NodeStateSnapshot] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[tuple[UUID, UUID]] = field(default_factory=list)

    def snapshot_for_node(
        self, node_id: UUID, domain_id: UUID, deadline: Deadline, moment: object = None
    ) -> NodeStateSnapshot:
        self.calls.append((node_id, domain_id))
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        if (node_id, domain_id) not in self.given:
            raise NodeNotFound(f"node_id={node_id} domain_id={domain_id}")
        return self.given[node_id, domain_id]

    def domain_peers(self, domain_id: UUID, deadline: Deadline) -> DomainPeers:
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
        for (_, home), snapshot in self.given.items():
            if home == domain_id:
                return snapshot.peers.domain
        raise DomainNotFound(f"domain_id={domain_id}")


@dataclass
class FakeAuditSink:
    """Keeps rows in order, but for those of a time when ``away``; ``fails`` breaks the promise."""

    rows: list[AuditRow] = field(default_factory=list)
    away: bool = False
    fails: Exception | None = None

    def record(self, row: AuditRow) -> None:
        if self.fails is not None:
            raise self.fails
        if not self.away:
            self.rows.append(row)


@dataclass
class FakeLastAnswers:
    """Keeps answers of any age in memory, where it ``is_enabled``."""

    is_enabled: bool = True
    kept: dict[UUID, KeptAnswer] = field(default_factory=dict)
    sent: list[UUID] = field(default_factory=list)

    def keep(self, node: AddressedNode, digest: str, blocks: Sequence[KeptBlock]) -> None:
        self.kept[node.id] = KeptAnswer(node, digest, tuple(blocks), 42.5)

    def of_node(self, node_id: UUID) -> KeptAnswer | None:
        return self.kept.get(node_id)

    def digests_of(self, node_id: UUID) -> tuple[bytes, ...]:
        return self.kept[node_id].node.secret_key_digests if node_id in self.kept else ()

    def forget(self, node_id: UUID) -> None:
        self.kept.pop(node_id, None)

    def sent_again(self, node_id: UUID, age: float) -> None:
        self.sent.append(node_id)


@dataclass
class FakeRequestLimits:
    """Limits nobody, or everybody by ``fails``; ``calls`` are those of ``admit`` in order."""

    fails: Exception | None = None
    calls: list[tuple[str, str, Limit | None, bytes | None]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    grants: list[tuple[str, str]] = field(default_factory=list)

    def admit(
        self,
        subject: str,
        permission: str,
        limit: Limit | None = None,
        content: bytes | None = None,
    ) -> None:
        self.calls.append((subject, permission, limit, content))
        if self.fails is not None:
            raise self.fails

    def refused(self, subject: str) -> None:
        self.refusals.append(subject)

    def granted(self, subject: str, permission: str) -> None:
        self.grants.append((subject, permission))


def record_write(
    audit: FakeAuditSink, write: AuditedWrite, object: str, *, repeated: bool = False
) -> None:
    """The ledger's part in the transaction of a write."""
    relation = write.relation_of_repeat if repeated else write.relation
    audit.record(AuditRow(relation, "granted", write.subject, object, write.correlation_id))


@dataclass
class FakeBodyHistory:
    """Keeps every body of a time when it is not ``away``; ``fails`` breaks the promise."""

    bodies: list[tuple[str, str, bytes]] = field(default_factory=list)
    away: bool = False
    fails: Exception | None = None

    def keep(self, node: str, digest: str, body: bytes) -> None:
        if self.fails is not None:
            raise self.fails
        if not self.away and (node, digest) not in [kept[:2] for kept in self.bodies]:
            self.bodies.append((node, digest, body))


@dataclass
class FakeDropReporter:
    """Keeps what was dropped: (outcome, domain, addressed Node, peer)."""

    drops: list[tuple[str, UUID, UUID, UUID]] = field(default_factory=list)

    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None:
        self.drops.append((outcome, domain_id, addressed_node_id, peer_node_id))


@dataclass
class FakeHealthProbe:
    """Answers with the checks it was given."""

    given: list[HealthCheck] = field(default_factory=list)

    def checks(self, deadline: Deadline) -> Sequence[HealthCheck]:
        return self.given


def raise_if_late(deadline: Deadline, late: Exception, fails: Exception | None) -> None:
    if fails is not None:
        raise fails
    if deadline.remaining() <= 0:
        raise late
