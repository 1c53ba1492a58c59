"""Stands-in for the registry's ports, for unit tests only; conformance suites keep them honest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.errors import (
    DatastoreUnavailable,
    DomainNotEmpty,
    DomainNotFound,
    DomainSlugConflict,
    IdempotencyKeyConflict,
    MeshCidrOverlap,
    NodeNotFound,
    NodeQuotaExceeded,
    PoolExhausted,
    PublicKeyInUse,
    PublicKeyRegistered,
)
from composer.identity import VisibleDomains, domain_object, node_object
from composer.reachability import DEFAULT_POLICY
from composer.registry import (
    MOST_NODES,
    CreatedDomain,
    Domain,
    DomainChange,
    NewDomain,
    NodeSummary,
    RegisteredNode,
    Registration,
)
from tests.domain_fakes import FakeDomainReader
from tests.factories import EPOCH
from tests.fakes import FakeAuditSink, record_write

LATER = EPOCH + timedelta(hours=1)  # the time of changes
Meant = tuple[bytes, UUID]


def _in_time(deadline: Deadline, fails: Exception | None) -> None:
    if fails is not None:
        raise fails
    if deadline.remaining() <= 0:
        raise DatastoreUnavailable("no time left")


@dataclass
class FakeDomainRegistry:
    """Domains by id, written to ``reader`` as well; ``occupied`` are those that have Nodes."""

    reader: FakeDomainReader = field(default_factory=FakeDomainReader)
    occupied: set[UUID] = field(default_factory=set)
    fails: Exception | None = None
    keys: dict[str, Meant] = field(default_factory=dict)
    made: int = 0
    audit: FakeAuditSink = field(default_factory=FakeAuditSink)

    def create(
        self, domain: NewDomain, key: str | None, write: AuditedWrite, deadline: Deadline
    ) -> CreatedDomain:
        _in_time(deadline, self.fails)
        created = self._create(domain, key)
        object = domain_object(created.domain_id)
        record_write(self.audit, write, object, repeated=not created.is_new)
        return created

    def _create(self, domain: NewDomain, key: str | None) -> CreatedDomain:
        meant, known = self.keys.get(key or "", (b"", None))
        if known in self.reader.rows:
            if meant != domain.request_hash:
                raise IdempotencyKeyConflict("meant otherwise")
            return CreatedDomain(known, is_new=False)
        for row in self.reader.rows.values():
            if row.slug == domain.slug:
                raise DomainSlugConflict("taken")
        for row in self.reader.rows.values():
            mine, other = ip_network(domain.mesh_cidr), ip_network(row.mesh_cidr or "10.0.0.0/32")
            if mine.version == other.version and mine.overlaps(other):
                raise MeshCidrOverlap("taken")
        self.made += 1
        domain_id = UUID(int=(0x0190D << 108) | (7 << 76) | (2 << 62) | self.made)
        self.reader.rows[domain_id] = Domain(
            *(domain_id, domain.name, domain.slug, domain.description, domain.region),
            *(domain.mesh_cidr, EPOCH, EPOCH, domain.reachability or DEFAULT_POLICY),
        )
        if key is not None:
            self.keys[key] = domain.request_hash, domain_id
        return CreatedDomain(domain_id, is_new=True)

    def update(
        self, domain_id: UUID, change: DomainChange, write: AuditedWrite, deadline: Deadline
    ) -> None:
        _in_time(deadline, self.fails)
        if domain_id not in self.reader.rows:
            raise DomainNotFound(f"domain_id={domain_id}")
        before = self.reader.rows[domain_id]
        texts = {name: getattr(change, name) for name in ("name", "description", "region")}
        after = replace(before, **{name: text for name, text in texts.items() if text is not None})
        if change.sets_reachability:
            after = replace(after, reachability=change.reachability or DEFAULT_POLICY)
        if after != before:
            self.reader.rows[domain_id] = replace(after, updated_at=LATER)
        record_write(self.audit, write, domain_object(domain_id))

    def delete(self, domain_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        _in_time(deadline, self.fails)
        if domain_id in self.occupied:
            raise DomainNotEmpty("has Nodes", 1)
        self.reader.rows.pop(domain_id, None)
        record_write(self.audit, write, domain_object(domain_id))


@dataclass
class FakeNodeRegistry:
    """Nodes by id as (Domain, key, address); ``ranges`` of the Domains there are.

    ``held`` are released addresses, which ``release`` gives back: no clock is asked. ``told`` hears
    of every new Node.
    """

    ranges: dict[UUID, str] = field(default_factory=dict)
    fails: Exception | None = None
    nodes: dict[UUID, tuple[UUID, bytes, str]] = field(default_factory=dict)
    keys: dict[tuple[UUID, str], Meant] = field(default_factory=dict)
    held: set[tuple[UUID, str]] = field(default_factory=set)
    told: Callable[[UUID, bytes, str], None] = lambda node_id, key, address: None
    digests: dict[UUID, bytes] = field(default_factory=dict)
    made: int = 0
    repeats: int = 0
    node_quota: int = MOST_NODES
    audit: FakeAuditSink = field(default_factory=FakeAuditSink)

    def register(
        self,
        domain_id: UUID,
        registration: Registration,
        write: AuditedWrite,
        deadline: Deadline,
    ) -> RegisteredNode:
        _in_time(deadline, self.fails)
        node = self._register(domain_id, registration)
        record_write(self.audit, write, node_object(node.node_id), repeated=not node.is_new)
        return node

    def _register(self, domain_id: UUID, registration: Registration) -> RegisteredNode:
        if domain_id not in self.ranges:
            raise DomainNotFound(f"domain_id={domain_id}")
        key, public_key = registration.idempotency_key, registration.wanted.public_key
        request_hash, known = self.keys.get((domain_id, key or ""), (b"", None))
        if known in self.nodes:
            if request_hash != registration.request_hash:
                raise IdempotencyKeyConflict("another request")
            self.digests[known] = registration.secret_key_digest
            self.repeats += 1
            return self._registered(known, is_new=False)
        if self._with_key(domain_id, public_key) is not None:
            raise PublicKeyRegistered("another request")
        node_id = self._add(domain_id, public_key)
        self.digests[node_id] = registration.secret_key_digest
        if key is not None:
            self.keys[domain_id, key] = registration.request_hash, node_id
        return self._registered(node_id, is_new=True)

    def deregister(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        _in_time(deadline, self.fails)
        if node_id in self.nodes:
            domain_id, _, address = self.nodes.pop(node_id)
            self.held.add((domain_id, address))
        record_write(self.audit, write, node_object(node_id))

    def rotate_key(
        self, node_id: UUID, public_key: bytes, write: AuditedWrite, deadline: Deadline
    ) -> bool:
        _in_time(deadline, self.fails)
        if node_id not in self.nodes:
            raise NodeNotFound(f"node_id={node_id}")
        domain_id, had, address = self.nodes[node_id]
        if self._with_key(domain_id, public_key) not in (None, node_id):
            raise PublicKeyInUse("a peer has it")
        self.nodes[node_id] = domain_id, public_key, address
        record_write(self.audit, write, node_object(node_id))
        return had != public_key

    def release(self) -> None:
        """Every hold-off is over."""
        self.held.clear()

    def _with_key(self, domain_id: UUID, key: bytes) -> UUID | None:
        return next(
            (node_id for node_id, row in self.nodes.items() if row[:2] == (domain_id, key)),
            None,
        )

    def _add(self, domain_id: UUID, key: bytes) -> UUID:
        taken = {row[2] for row in self.nodes.values() if row[0] == domain_id}
        if len(taken) >= self.node_quota:
            raise NodeQuotaExceeded("no more Nodes")
        taken |= {address for held_in, address in self.held if held_in == domain_id}
        for host in ip_network(self.ranges[domain_id]).hosts():
            if str(host) not in taken:
                self.made += 1
                node_id = UUID(int=(0x0190E << 108) | (7 << 76) | (2 << 62) | self.made)
                self.nodes[node_id] = domain_id, key, str(host)
                self.told(node_id, key, str(host))
                return node_id
        raise PoolExhausted("every address is taken")

    def _registered(self, node_id: UUID, is_new: bool) -> RegisteredNode:
        domain_id, _, address = self.nodes[node_id]
        not_before = None if is_new else EPOCH + timedelta(seconds=self.repeats)
        return RegisteredNode(node_id, address, self.ranges[domain_id], is_new, not_before)


@dataclass
class FakeDomainNodes:
    """Lists what it was given, by Domain."""

    given: dict[UUID, list[NodeSummary]] = field(default_factory=dict)
    fails: Exception | None = None

    def put(self, domain_id: UUID, node_id: UUID, address: str, at: datetime = EPOCH) -> None:
        """One more Node."""
        summary = NodeSummary(node_id, domain_id, "", str(ip_address(address)), at)
        self.given.setdefault(domain_id, []).append(summary)

    def page(
        self, visible: VisibleDomains, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[NodeSummary]:
        _in_time(deadline, self.fails)
        ids = self.given.keys() if visible.ids is None else visible.ids
        rows = sorted((row for id in ids for row in self.given.get(id, ())), key=lambda row: row.id)
        return [row for row in rows if after is None or row.id > after][:limit]
