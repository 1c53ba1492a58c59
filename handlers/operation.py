"""An operation is one value, and ``perform`` is how every gated operation runs.

The order of the gates is for security: a stranger must not learn what exists, and a refusal must
not cost a further round trip (docs/design.md, Gates).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any
from uuid import UUID

from composer.audit import AuditRow, AuditSink, DomainAuditReader, NoAudit
from composer.deadline import Deadline
from composer.entries import EntryStore
from composer.errors import ComposerError
from composer.heartbeat import HeartbeatSink
from composer.identity import (
    PLATFORM,
    AddressedDomain,
    AddressedNode,
    DomainRepo,
    NodeRepo,
    Principal,
    RelationChecker,
    parse_canonical_uuid,
)
from composer.node_token import TokenMint
from composer.reachability import ReachabilityRepo
from composer.registry import DomainNodes, DomainReader, DomainRegistry, NodeRegistry, OutboxRelay
from composer.snapshot_composer import SnapshotProvider
from handlers.answers import Answer, Call
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    INSUFFICIENT_RELATION,
    UNAUTHORIZED,
    BodyRefusals,
    RefusalKind,
    Refused,
    refusal_for,
)
from handlers.service import ServicePorts
from handlers.wire import SnapshotWire

GRANTED = "granted"

_log = logging.getLogger("plexsphere.gates")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPorts:
    """Every port that stands on the ledger. The value exists whole or not at all (gate 0).

    ``mint`` is None where the service has no signing key of its own. ``wire`` is shared, so that a
    registration shows its peers in the very bytes of the pull.
    """

    relations: RelationChecker
    nodes: NodeRepo
    domains: DomainRepo
    snapshots: SnapshotProvider
    heartbeats: HeartbeatSink
    reachability: ReachabilityRepo
    entries: EntryStore
    domain_reader: DomainReader
    domain_nodes: DomainNodes
    domain_registry: DomainRegistry
    node_registry: NodeRegistry
    outbox: OutboxRelay
    domain_audit: DomainAuditReader
    audit: AuditSink = field(default_factory=NoAudit)
    mint: TokenMint | None = None
    wire: SnapshotWire = field(default_factory=SnapshotWire)


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports of the process; ``ledger`` is None where the service is not provisioned."""

    service: ServicePorts
    ledger: LedgerPorts | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a known Principal, as the gates and the body of its operation use it."""

    operation: Operation
    ports: LedgerPorts
    call: Call
    principal: Principal

    @property
    def deadline(self) -> Deadline:
        """When the caller must have an answer."""
        return self.call.deadline

    def has_relation(self, resource: str) -> bool:
        """Gate 2: whether the Principal has the operation's relation to ``resource``."""
        relation = self.operation.way.relation
        return self.ports.relations.check(self.principal, relation, resource, self.deadline)

    def has_relation_at(self, resource: str, token: str | None) -> bool:
        """The same at or after a ZedToken; true where no relationship write is on record."""
        return token is None or self.ports.relations.check_at_least(
            self.principal, self.operation.way.relation, resource, token, self.deadline
        )

    def insufficient(self, resource: str) -> Refused:
        """The refusal of gate 2, after its audit row."""
        code = INSUFFICIENT_RELATION.code
        assert code is not None
        self.record(code, resource)
        relation = self.operation.way.relation
        return Refused(
            INSUFFICIENT_RELATION, f"{self.principal.subject} lacks {relation} on {resource}"
        )

    def record_write(self, resource: str, *, repeated: bool = False) -> None:
        """Record a write as soon as the ledger has it: what comes after may still fail."""
        self.record(GRANTED, resource, repeated=repeated, is_committed=True)

    def record(
        self,
        outcome: str,
        resource: str,
        *,
        digest: str | None = None,
        repeated: bool = False,
        is_committed: bool = False,
    ) -> None:
        """Record an outcome. Best effort: a sink that breaks its promise refuses nobody."""
        operation = self.operation
        row = AuditRow(
            relation=operation.record_of_repeat if repeated else operation.record,
            outcome=outcome,
            subject=self.principal.subject,
            object=resource,
            correlation_id=self.call.correlation_id,
            digest=digest,
            is_committed=is_committed,
        )
        try:
            self.ports.audit.record(row)
        except Exception:
            _log.exception("audit_row_lost", extra={"correlation_id": row.correlation_id})


Addressed = AddressedNode | AddressedDomain | UUID | None


@dataclass(frozen=True, slots=True)
class Address:
    """The path parameter that names what an operation is about, and its two refusals.

    ``object`` is the addressed id as ReBAC and audit rows name it.
    """

    parameter: str
    invalid: RefusalKind
    not_found: RefusalKind
    object: Callable[[UUID], str]


@dataclass(frozen=True, slots=True)
class Way:
    """Gates 1a to 3 of one kind of caller.

    ``gates`` gets the request and the addressed id (None where ``address`` is None). It returns
    what the body works on, and raises Refused or a composer error.
    """

    relation: str
    address: Address | None
    gates: Callable[[Request, Any], Addressed]

    @property
    def refusals(self) -> tuple[RefusalKind, ...]:
        """Every refusal of gates 1 to 3."""
        address = self.address
        about = () if address is None else (address.invalid, address.not_found)
        return (
            *(UNAUTHORIZED, *about, INSUFFICIENT_RELATION),
            *(AUTHZ_UNAVAILABLE, DATASTORE_UNAVAILABLE),
        )

    def resource(self, addressed_id: UUID | None) -> str:
        """What audit rows say the operation was about; the platform where nothing is addressed."""
        if self.address is None or addressed_id is None:
            return PLATFORM
        return self.address.object(addressed_id)

    def addressed_id(self, parameters: dict[str, Any]) -> UUID | None:
        """Gate 1a: takes the id out of the parameters. It must be a canonical UUID."""
        if self.address is None:
            return None
        addressed = parse_canonical_uuid(parameters.pop(self.address.parameter))
        if addressed is None:
            raise Refused(self.address.invalid, f"{self.address.parameter} is not canonical")
        return addressed


class Records(Enum):
    """Which grants of an operation leave an audit row; a refusal of gate 2 always leaves one."""

    ANSWERS = "when the body has answered"
    WRITES = "when the ledger has changed: the body says so with record_write"
    REFUSALS = "none: the write is its own record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A gated operation, whole.

    - ``does(request, addressed, **parameters)`` is the body.
    - ``way`` says who may.
    - ``wants(addressed_id, **parameters)`` checks, before gate 2, what no schema can. The body gets
      its result as ``wanted`` in place of the parameters.
    - ``record`` and ``record_of_repeat`` are what audit rows call it; the second is for a write
      that finds its work done by an earlier request.
    - ``not_provisioned`` is the answer of gate 0; ``needs_signing_key`` widens that gate.
    - ``statuses`` are those of its own answers, with the constant ``headers`` and the ``sends``
      that the body adds. ``refuses`` are the refusals of the body.
    - ``body`` and ``parameters`` refuse a body, or a parameter, that is not as declared.
    """

    does: Callable[..., Answer]
    way: Way
    record: str
    not_provisioned: RefusalKind
    statuses: tuple[int, ...] = (200,)
    wants: Callable[..., Any] | None = None
    records: Records = Records.ANSWERS
    record_of_repeat: str = ""
    needs_signing_key: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    sends: tuple[str, ...] = ()
    refuses: tuple[RefusalKind, ...] = ()
    body: BodyRefusals | None = None
    parameters: Mapping[str, RefusalKind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOperation:
    """An operation without gates: ``does(ports, call)`` for everybody."""

    does: Callable[..., Answer]
    statuses: tuple[int, ...] = (200,)
    headers: Mapping[str, str] = field(default_factory=dict)
    sends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnservedOperation:
    """A declared operation that this release does not serve: its 501 to everybody."""

    not_provisioned: RefusalKind


AnyOperation = Operation | OpenOperation | UnservedOperation


def gate_0(operation: AnyOperation, ledger: LedgerPorts | None) -> None:
    """The 501 of an operation whose ports do not exist, whoever asks."""
    match operation:
        case UnservedOperation():
            raise Refused(operation.not_provisioned, "this release does not serve it")
        case Operation() if ledger is None:
            raise Refused(operation.not_provisioned, "load-bearing ports are not wired")
        case Operation(needs_signing_key=True) if ledger is not None and ledger.mint is None:
            raise Refused(operation.not_provisioned, "no signing key is wired")


def is_provisioned(operation: AnyOperation, ledger: LedgerPorts | None) -> bool:
    """Whether gate 0 lets requests of this operation in."""
    try:
        gate_0(operation, ledger)
    except Refused:
        return False
    return True


def gate_1(principal: Principal | None) -> Principal:
    """Who asks, before anything that costs a round trip."""
    if principal is None:
        raise Refused(UNAUTHORIZED, "no principal")
    return principal


def answer(
    operation: AnyOperation, ports: Ports, call: Call, parameters: Mapping[str, Any]
) -> Answer:
    """The answer of any operation. Raises Refused."""
    gate_0(operation, ports.ledger)
    if isinstance(operation, OpenOperation):
        try:
            done = operation.does(ports.service, call, **parameters)
        except ComposerError as error:
            raise refusal_for(error) from error
        return replace(done, headers={**operation.headers, **done.headers})
    assert isinstance(operation, Operation) and ports.ledger is not None
    return perform(operation, ports.ledger, call, parameters)


def perform(
    operation: Operation, ports: LedgerPorts, call: Call, parameters: Mapping[str, Any]
) -> Answer:
    """Gate 1 to the audit row. Here alone an adapter's error becomes a refusal."""
    request = Request(operation, ports, call, gate_1(call.principal))
    arguments = dict(parameters)
    try:
        addressed_id = operation.way.addressed_id(arguments)
        if operation.wants is not None:
            arguments = {"wanted": operation.wants(addressed_id, **arguments)}
        addressed = operation.way.gates(request, addressed_id)
        done = operation.does(request, addressed, **arguments)
    except ComposerError as error:
        raise refusal_for(error) from error
    if operation.records is Records.ANSWERS:
        # The digest says what the caller has now: a HEAD brings it nothing.
        digest = done.digest if call.takes_body else None
        request.record(GRANTED, operation.way.resource(addressed_id), digest=digest)
    return replace(done, headers={**operation.headers, **done.headers})
