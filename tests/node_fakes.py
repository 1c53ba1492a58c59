"""Small fakes of the ports that write about Nodes, for unit tests only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.entries import REPORT, EntryRow, entry_not_found, quota_exceeded
from composer.errors import (
    AuthzUnavailable,
    ClockSkew,
    DatastoreUnavailable,
    NodeNotFound,
)
from composer.heartbeat import MAX_CLOCK_SKEW, HeartbeatResult
from composer.identity import (
    AddressedNode,
    Principal,
    node_object,
)
from composer.reachability import ReachabilityRow
from tests.factories import EPOCH
from tests.fakes import FakeAuditSink, Triple, raise_if_late, record_write


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
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
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
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
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
        raise_if_late(deadline, DatastoreUnavailable("no time left"), self.fails)
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
        raise_if_late(deadline, AuthzUnavailable("no time left"), self.fails)
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
