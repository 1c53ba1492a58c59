"""Small fakes of the ports, for unit tests only; the conformance suites keep them honest.

They stand in one file, because most tests need several, and none has more than a page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from composer.audit import AuditedWrite, AuditQuery, AuditRecord, AuditRow
from composer.bridge import BridgeRows
from composer.credentials import NO_DIGEST, SecretKey
from composer.deadline import Deadline
from composer.entries import REPORT, EntryRow, entry_not_found, quota_exceeded
from composer.errors import (
    AuthzUnavailable,
    ClockSkew,
    DatastoreUnavailable,
    DomainNotFound,
    NodeNotFound,
)
from composer.event_keys import EventKey
from composer.heartbeat import MAX_CLOCK_SKEW, HeartbeatResult
from composer.identity import (
    NIL,
    AddressedDomain,
    AddressedNode,
    Principal,
    VisibleDomains,
    node_object,
)
from composer.last_answers import KeptAnswer, KeptBlock
from composer.limits import Limit
from composer.node_token import NodeToken
from composer.peers import DomainPeers, PeerRow, PeerTable
from composer.policy import RuleSetRow
from composer.position import LedgerPosition
from composer.reachability import ReachabilityRow
from composer.registry import Domain
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
        _in_time(deadline, AuthzUnavailable("no time left"), self.fails)
        return triple in self.grants

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        triple = (principal.subject, relation, resource)
        self.calls_at_least.append((*triple, token))
        _in_time(deadline, AuthzUnavailable("no time left"), self.fails_at_least or self.fails)
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
        _in_time(deadline, AuthzUnavailable("no time left"), self.fails_at_least or self.fails)
        return triple in self.grants - self.revoked_at_least

    def objects_of(
        self, principal: Principal, relation: str, kind: str, deadline: Deadline
    ) -> frozenset[UUID]:
        _in_time(deadline, AuthzUnavailable("no time left"), self.fails_at_least or self.fails)
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
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.nodes:
            raise NodeNotFound(f"node_id={node_id}")
        return self.nodes[node_id]

    def get_for_snapshot(
        self, node_id: UUID, deadline: Deadline, presented: LedgerPosition | None = None
    ) -> AddressedNode:
        return self.get_by_id(node_id, deadline)


@dataclass
class FakeDomainRepo:
    """Holds Domains by id."""

    domains: dict[UUID, AddressedDomain] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[UUID] = field(default_factory=list)

    def get_by_id(self, domain_id: UUID, deadline: Deadline) -> AddressedDomain:
        self.calls.append(domain_id)
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if domain_id not in self.domains:
            raise DomainNotFound(f"domain_id={domain_id}")
        return self.domains[domain_id]


@dataclass
class FakeDomainReader:
    """Holds Domains' rows by id."""

    rows: dict[UUID, Domain] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[UUID] = field(default_factory=list)

    def read(self, domain_id: UUID, deadline: Deadline) -> Domain:
        self.calls.append(domain_id)
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if domain_id not in self.rows:
            raise DomainNotFound(f"domain_id={domain_id}")
        return self.rows[domain_id]

    def page(
        self, visible: VisibleDomains, after: UUID | None, limit: int, deadline: Deadline
    ) -> list[Domain]:
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        above = NIL if after is None else after
        shown = [
            row
            for domain_id, row in sorted(self.rows.items())
            if domain_id > above and (visible.ids is None or domain_id in visible.ids)
        ]
        return shown[:limit]


@dataclass
class FakeDomainAuditReader:
    """Holds the rows of Domains, each in the order of its sequence."""

    rows: dict[UUID, list[AuditRecord]] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[tuple[UUID, AuditQuery, int, int]] = field(default_factory=list)

    def page(
        self, domain_id: UUID, query: AuditQuery, after: int, limit: int, deadline: Deadline
    ) -> list[AuditRecord]:
        self.calls.append((domain_id, query, after, limit))
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        rows = self.rows.get(domain_id, [])
        return [row for row in rows if row.seq > after and _is_asked_for(row, query)][:limit]


def _is_asked_for(row: AuditRecord, query: AuditQuery) -> bool:
    names = ("relation", "outcome", "subject", "object", "correlation_id")
    return (
        all(getattr(query, name) in (None, getattr(row, name)) for name in names)
        and (query.since is None or row.occurred_at >= query.since)
        and (query.until is None or row.occurred_at < query.until)
    )


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
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        held = {row.node_id for row in self.shown.table.rows}
        if node_id not in held or domain_id != self.shown.table.domain_id:
            raise NodeNotFound(f"node_id={node_id} domain_id={domain_id}")
        return self.shown

    def peers(self, domain_id: UUID, deadline: Deadline) -> PeerTable:
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
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
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if (node_id, domain_id) not in self.given:
            raise NodeNotFound(f"node_id={node_id} domain_id={domain_id}")
        return self.given[node_id, domain_id]

    def domain_peers(self, domain_id: UUID, deadline: Deadline) -> DomainPeers:
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
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
class FakeKeys:
    """The keys that verify tokens, which may be away."""

    fails: Exception | None = None


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
class FakeHeartbeatSink:
    """Accepts heartbeats of the Nodes it knows; ``accepted`` has the moment of each last one,
    by a clock that stands still. ``tokens`` are the ZedTokens of Nodes that carry one."""

    known: set[UUID] = field(default_factory=set)
    now: datetime = EPOCH
    fails: Exception | None = None
    accepted: dict[UUID, datetime] = field(default_factory=dict)
    tokens: dict[UUID, str] = field(default_factory=dict)
    credentials: dict[UUID, tuple[tuple[bytes, ...], datetime | None]] = field(default_factory=dict)
    calls: list[tuple[UUID, datetime, str | None]] = field(default_factory=list)

    def heartbeat(
        self,
        principal: Principal,
        node_id: UUID,
        client_now: datetime,
        last_token: str | None,
        deadline: Deadline,
    ) -> HeartbeatResult:
        self.calls.append((node_id, client_now, last_token))
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.known:
            raise NodeNotFound(f"node_id={node_id}")
        token = self.tokens.get(node_id)
        digests, not_before = self.credentials.get(node_id, ((), None))
        AddressedNode(node_id, node_id, token, digests, not_before).check_credential(principal)
        if token not in (None, last_token):
            return HeartbeatResult(None, token)
        if abs(client_now - self.now) > MAX_CLOCK_SKEW:
            raise ClockSkew(f"node_id={node_id}")
        self.accepted[node_id] = self.now
        return HeartbeatResult(self.now, token)


@dataclass
class FakeEntryStore:
    """Keeps entries of the Nodes it knows by their Domain, ``quota`` of a kind; counts events."""

    known: dict[UUID, UUID] = field(default_factory=dict)
    quota: int = 3
    now: datetime = EPOCH
    fails: Exception | None = None
    rows: dict[tuple[UUID, str, str], EntryRow] = field(default_factory=dict)
    events: Counter[UUID] = field(default_factory=Counter)
    calls: list[tuple[UUID, str, str]] = field(default_factory=list)
    audit: FakeAuditSink = field(default_factory=FakeAuditSink)

    def put(
        self, node: AddressedNode, entry: EntryRow, write: AuditedWrite, deadline: Deadline
    ) -> datetime:
        place = self._place(node, entry.kind, entry.key, deadline)
        held = [other for other in self.rows if other[:2] == place[:2]]
        if place not in self.rows and len(held) >= self.quota:
            raise quota_exceeded(entry.kind, f"node_id={node.id}")
        if self.rows.get(place) != entry:
            self.rows[place] = entry
            self.events[node.id] += entry.kind != REPORT
        record_write(self.audit, write, node_object(node.id))
        return self.now

    def remove(
        self, node: AddressedNode, kind: str, key: str, write: AuditedWrite, deadline: Deadline
    ) -> None:
        place = self._place(node, kind, key, deadline)
        if self.rows.pop(place, None) is None:
            raise entry_not_found(kind, f"node_id={node.id}")
        self.events[node.id] += kind != REPORT
        record_write(self.audit, write, node_object(node.id))

    def _place(
        self, node: AddressedNode, kind: str, key: str, deadline: Deadline
    ) -> tuple[UUID, str, str]:
        self.calls.append((node.id, kind, key))
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if self.known.get(node.id) != node.domain_id:
            raise NodeNotFound(f"node_id={node.id}")
        return node.id, kind, key


@dataclass
class FakeReachabilityRepo:
    """Holds liveness columns by Node."""

    rows: dict[UUID, ReachabilityRow] = field(default_factory=dict)
    fails: Exception | None = None
    calls: list[UUID] = field(default_factory=list)

    def of_node(self, node_id: UUID, deadline: Deadline) -> ReachabilityRow:
        self.calls.append(node_id)
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.rows:
            raise NodeNotFound(f"node_id={node_id}")
        return self.rows[node_id]


# operation, resource, relation, subject; a purge has neither of the last two.
TupleUpdate = tuple[str, str, str, str]


@dataclass
class FakeOutboxRelay:
    """``waiting`` are rows in the order of their seq; ``tuples`` is what SpiceDB has taken."""

    waiting: list[tuple[str, Sequence[TupleUpdate]]] = field(default_factory=list)
    tuples: set[Triple] = field(default_factory=set)
    fails: Exception | None = None
    calls: list[str] = field(default_factory=list)

    def deliver(self, object: str, deadline: Deadline) -> None:
        self.calls.append(object)
        _in_time(deadline, AuthzUnavailable("no time left"), self.fails)
        for about, updates in self.waiting:
            for operation, *triple in updates if about == object else ():
                self._take(operation, (triple[0], triple[1], triple[2]))
        self.waiting = [row for row in self.waiting if row[0] != object]

    def _take(self, operation: str, triple: Triple) -> None:
        if operation == "touch":
            self.tuples.add(triple)
        elif operation == "delete":
            self.tuples.discard(triple)
        else:
            self.tuples = {known for known in self.tuples if known[0] != triple[0]}


@dataclass
class FakeTokenMint:
    """Numbers its tokens; ``clock`` is Unix seconds, ``minted`` says whose each is until when."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(EPOCH.timestamp()))
    fails: Exception | None = None
    minted: dict[str, tuple[UUID, datetime]] = field(default_factory=dict)

    def mint(self, node_id: UUID, tokens_not_before: datetime | None) -> NodeToken:
        if self.fails is not None:
            raise self.fails
        text = f"fake.token.{len(self.minted)}"
        until = datetime.fromtimestamp(self.clock(), UTC) + timedelta(hours=24)
        self.minted[text] = (node_id, until)
        return NodeToken(text, until)


@dataclass
class FakeNodeCredentials:
    """Digests of the secret keys of the Nodes it knows, the newest first."""

    digests: dict[UUID, tuple[bytes, ...]] = field(default_factory=dict)
    fails: Exception | None = None
    revoked: list[UUID] = field(default_factory=list)
    audit: FakeAuditSink = field(default_factory=FakeAuditSink)

    def secret_key_digests(self, node_id: UUID, deadline: Deadline) -> tuple[bytes, ...]:
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        return (*self.digests.get(node_id, ()), NO_DIGEST, NO_DIGEST)[:2]

    def rotate_secret_key(
        self, node_id: UUID, digest: bytes, write: AuditedWrite, deadline: Deadline
    ) -> None:
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.digests:
            raise NodeNotFound(f"node_id={node_id}")
        if digest not in self.digests[node_id][:1]:
            self.digests[node_id] = (digest, *self.digests[node_id][:1])
        record_write(self.audit, write, node_object(node_id))

    def record_token(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.digests:
            raise NodeNotFound(f"node_id={node_id}")
        record_write(self.audit, write, node_object(node_id))

    def revoke(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if node_id not in self.digests:
            raise NodeNotFound(f"node_id={node_id}")
        self.digests[node_id] = ()
        self.revoked.append(node_id)
        record_write(self.audit, write, node_object(node_id))


@dataclass
class FakeSecretKeys:
    """Counts its keys, each of 32 equal bytes."""

    made: int = 0

    def new(self) -> SecretKey:
        self.made += 1
        return SecretKey(bytes([self.made % 256]) * 32)


@dataclass
class FakeEventKeys:
    """A key for each of the Domains it knows, made of the Domain's id."""

    known: set[UUID] = field(default_factory=set)
    fails: Exception | None = None

    def current(self, domain_id: UUID, deadline: Deadline) -> EventKey:
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        if domain_id not in self.known:
            raise DomainNotFound(f"domain_id={domain_id}")
        return EventKey(domain_id.hex[-16:], domain_id.bytes * 2)


@dataclass
class FakePublishedKeys:
    """Publishes what it was given."""

    given: list[dict[str, str]] = field(default_factory=list)
    fails: Exception | None = None

    def jwks(self) -> Mapping[str, object]:
        if self.fails is not None:
            raise self.fails
        return {"keys": self.given}


@dataclass
class FakeHealthProbe:
    """Answers with the checks it was given."""

    given: list[HealthCheck] = field(default_factory=list)

    def checks(self, deadline: Deadline) -> Sequence[HealthCheck]:
        return self.given


def _in_time(deadline: Deadline, late: Exception, fails: Exception | None) -> None:
    if fails is not None:
        raise fails
    if deadline.remaining() <= 0:
        raise late
