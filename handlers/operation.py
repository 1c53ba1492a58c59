"""An operation is one value; ``perform`` runs the gates and the handler of every gated operation.

The order of the gates is a security rule: an unauthorized caller must not learn which objects
exist, and a refusal must not cost another round trip (docs/design.md, Gates).

Only this module turns an error of an adapter into the refusal of a request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any
from uuid import UUID

from composer.audit import AuditedWrite, AuditRow
from composer.deadline import Deadline
from composer.enrolment import BootstrapToken
from composer.errors import (
    ComposerError,
    CredentialEnded,
    DatastoreBusy,
    DatastoreUnavailable,
    NodeNotFound,
)
from composer.identity import (
    PLATFORM,
    AddressedDomain,
    AddressedNode,
    Principal,
    VisibleDomains,
    parse_canonical_uuid,
)
from composer.limits import Limit
from handlers.answers import Answer, Call
from handlers.ports import LedgerPorts, OptionalPort, Ports
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    DATASTORE_UNAVAILABLE,
    INSUFFICIENT_RELATION,
    KEYS_UNAVAILABLE,
    LEDGER_BEHIND,
    RATE_LIMITED,
    UNAUTHORIZED,
    BodyRefusals,
    RefusalKind,
    Refused,
    refusal_for,
)

GRANTED = "granted"
GRANTED_STALE = "granted_stale"
# Of the time of a request; the rest is for an answer without the ledger.
LEDGER_SHARE = 0.75

_log = logging.getLogger("plexsphere.gates")


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a known Principal, for the gates and the handler of its operation.

    ``deadline`` is that of the call, or earlier where time is left for an answer without the
    ledger.
    """

    operation: Operation
    ports: LedgerPorts
    call: Call
    principal: Principal
    deadline: Deadline

    def has_relation(self, resource: str) -> bool:
        """Gate 2: whether the Principal has the operation's relation on ``resource``."""
        relation = self.operation.way.relation
        return self.ports.relations.check(
            principal=self.principal, relation=relation, resource=resource, deadline=self.deadline
        )

    def has_relation_at(self, resource: str, token: str | None) -> bool:
        """Gate 2 at a ZedToken or later; True where there is no token."""
        return token is None or self.ports.relations.check_at_least(
            principal=self.principal,
            relation=self.operation.way.relation,
            resource=resource,
            token=token,
            deadline=self.deadline,
        )

    def insufficient(self, resource: str) -> Refused:
        """Record the refusal of gate 2 and return it."""
        code = INSUFFICIENT_RELATION.code
        assert code is not None
        self.record(code, resource)
        self.ports.limits.refused(self.principal.subject)
        if resource == self.principal.subject:
            self.ports.last_answers.forget(UUID(self.principal.id))
        relation = self.operation.way.relation
        return Refused(
            INSUFFICIENT_RELATION, f"{self.principal.subject} lacks {relation} on {resource}"
        )

    @property
    def write(self) -> AuditedWrite:
        """The audit row of the request's write, for the port that writes the ledger."""
        operation = self.operation
        return AuditedWrite(
            relation=operation.audit_name,
            relation_of_repeat=operation.audit_name_of_repeat or operation.audit_name,
            subject=self.principal.subject,
            correlation_id=self.call.correlation_id,
        )

    def record(self, outcome: str, resource: str, *, digest: str | None = None) -> None:
        """Record an outcome. An error of the sink is logged and does not refuse the request."""
        row = AuditRow(
            relation=self.operation.audit_name,
            outcome=outcome,
            subject=self.principal.subject,
            object=resource,
            correlation_id=self.call.correlation_id,
            digest=digest,
        )
        try:
            self.ports.audit.record(row)
        except Exception:
            _log.exception("audit_row_lost", extra={"correlation_id": row.correlation_id})


Addressed = AddressedNode | AddressedDomain | BootstrapToken | VisibleDomains | UUID | None


@dataclass(frozen=True, slots=True)
class Address:
    """The path parameter with the id of a Node or Domain, and its two refusals.

    ``object`` makes the name of that object in SpiceDB and audit rows.
    """

    parameter: str
    invalid: RefusalKind
    not_found: RefusalKind
    object: Callable[[UUID], str]


@dataclass(frozen=True, slots=True)
class Way:
    """Gates 1a to 3 of one kind of caller.

    ``takes_secret_key``: a node secret key proves the caller, as a JWT does.
    ``caller_in_body``: no ``Authorization`` is read. What ``parse`` returns has the ``caller`` that
    the body names, and ``gates`` verifies it.
    ``gates`` gets the request and the addressed id (None where ``address`` is None). It returns
    what the handler gets as ``addressed``. It raises Refused or a composer error.
    """

    relation: str
    address: Address | None
    gates: Callable[[Request, Any], Addressed]
    takes_secret_key: bool = False
    caller_in_body: bool = False

    @property
    def refusals(self) -> tuple[RefusalKind, ...]:
        """Every refusal of gates 1 to 3, without those of a caller that the body names."""
        if self.caller_in_body:
            return (AUTHZ_UNAVAILABLE, DATASTORE_UNAVAILABLE, LEDGER_BEHIND)
        address = self.address
        of_address = () if address is None else (address.invalid, address.not_found)
        return (
            UNAUTHORIZED,
            *of_address,
            RATE_LIMITED,
            INSUFFICIENT_RELATION,
            KEYS_UNAVAILABLE,
            AUTHZ_UNAVAILABLE,
            DATASTORE_UNAVAILABLE,
            LEDGER_BEHIND,
        )

    def resource(self, addressed_id: UUID | None) -> str:
        """The object of the audit row; the platform where the path has no id."""
        if self.address is None or addressed_id is None:
            return PLATFORM
        return self.address.object(addressed_id)

    def addressed_id(self, parameters: dict[str, Any]) -> UUID | None:
        """Gate 1a: remove the id from the parameters. It must be a canonical UUID."""
        if self.address is None:
            return None
        addressed_id = parse_canonical_uuid(parameters.pop(self.address.parameter))
        if addressed_id is None:
            raise Refused(self.address.invalid, f"{self.address.parameter} is not canonical")
        return addressed_id


class AuditedGrants(Enum):
    """The grants of an operation that have an audit row. A refusal of gate 2 always has a row."""

    ALL = "perform records each answer of the handler"
    WRITES = "the port that writes the ledger stores the row in the transaction of the write"
    NONE = "the ledger itself shows the write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A gated operation.

    - ``handler(request, addressed, **parameters)`` makes the answer. The port that the operation
      ``needs`` comes after ``addressed``.
    - ``parse(addressed_id, **parameters)`` runs before gate 2 and checks what no schema can. The
      handler then gets its result as ``parsed`` in place of the parameters.
    - ``way``: gates 1a to 3.
    - ``audit_name``: the relation in audit rows. ``audit_name_of_repeat`` is for a write that an
      earlier request has already made.
    - ``limit``: how often a subject may ask for it. A request with the ``repeat_by(parsed)`` of the
      one before does not count.
    - ``not_provisioned``: the refusal of gate 0, also where the service lacks the port.
    - ``without_ledger(request, addressed_id)`` makes the answer while Postgres does not answer, or
      None where there is none.
    - ``statuses``: those of the handler's own answers.
    - ``headers``: the same in every answer of the handler; ``sent_headers`` are the names of the
      headers that the handler adds.
    - ``refusals``: those of the handler.
    - ``body_refusals`` and ``parameter_refusals``: those of a body or a parameter that breaks the
      contract.
    """

    handler: Callable[..., Answer]
    way: Way
    audit_name: str
    not_provisioned: RefusalKind
    statuses: tuple[int, ...] = (200,)
    parse: Callable[..., Any] | None = None
    audited_grants: AuditedGrants = AuditedGrants.ALL
    limit: Limit | None = None
    repeat_by: Callable[[Any], bytes] | None = None
    without_ledger: Callable[[Request, UUID], Answer | None] | None = None
    audit_name_of_repeat: str = ""
    needs: OptionalPort | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    sent_headers: tuple[str, ...] = ()
    refusals: tuple[RefusalKind, ...] = ()
    body_refusals: BodyRefusals | None = None
    parameter_refusals: Mapping[str, RefusalKind] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.repeat_by is not None and self.parse is None:
            raise ValueError("repeat_by takes what parse returns, so it needs parse")

    def has_last_answers(self, ports: LedgerPorts) -> bool:
        """Whether answers are kept, for the time when Postgres does not answer."""
        return self.without_ledger is not None and ports.last_answers.is_enabled


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOperation:
    """An operation without gates: ``handler(ports, call)`` answers every caller."""

    handler: Callable[..., Answer]
    statuses: tuple[int, ...] = (200,)
    headers: Mapping[str, str] = field(default_factory=dict)
    sent_headers: tuple[str, ...] = ()


AnyOperation = Operation | OpenOperation


def gate_0(operation: AnyOperation, ledger: LedgerPorts | None) -> None:
    """Raise the 501 of an operation whose ports do not exist."""
    if isinstance(operation, OpenOperation):
        return
    if ledger is None:
        raise Refused(operation.not_provisioned, "load-bearing ports are not wired")
    if operation.needs is not None and ledger.optional.find(operation.needs) is None:
        raise Refused(operation.not_provisioned, f"no port {operation.needs.value} is wired")


def is_provisioned(operation: AnyOperation, ledger: LedgerPorts | None) -> bool:
    """Whether the operation passes gate 0."""
    try:
        gate_0(operation, ledger)
    except Refused:
        return False
    return True


Authenticate = Callable[[list[str], Deadline], Principal | None]


def gate_1(
    operation: AnyOperation, authenticate: Authenticate, headers: list[str], deadline: Deadline
) -> Principal:
    """The Principal of the ``Authorization`` headers, before anything else of a request is read."""
    try:
        principal = authenticate(headers, deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    takes_secret_key = isinstance(operation, Operation) and operation.way.takes_secret_key
    proven = known(principal)
    if proven.credential.secret_key_digest is not None and not takes_secret_key:
        raise Refused(UNAUTHORIZED, "the operation takes no node secret key")
    return proven


def known(principal: Principal | None) -> Principal:
    """The Principal; 401 where there is none."""
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
            result = operation.handler(ports.service, call, **parameters)
        except ComposerError as error:
            raise refusal_for(error) from error
        return result.with_headers(operation.headers)
    assert isinstance(operation, Operation) and ports.ledger is not None
    return perform(operation=operation, ports=ports.ledger, call=call, parameters=parameters)


def perform(
    operation: Operation, ports: LedgerPorts, call: Call, parameters: Mapping[str, Any]
) -> Answer:
    """Run gates 1 to 3, the handler and the audit row. Raises Refused, and no composer error."""
    way = operation.way
    principal = None if way.caller_in_body else known(call.principal)
    arguments = dict(parameters)
    addressed_id, outcome, deadline = None, GRANTED, call.deadline
    if operation.has_last_answers(ports):
        deadline = deadline.at_most(LEDGER_SHARE * deadline.remaining())
    try:
        addressed_id = way.addressed_id(arguments)
        resource = way.resource(addressed_id)
        if operation.parse is not None:
            arguments = {"parsed": operation.parse(addressed_id, **arguments)}
        caller = principal or arguments["parsed"].caller
        request = Request(
            operation=operation, ports=ports, call=call, principal=caller, deadline=deadline
        )
        # Whoever has a bootstrap token is limited by source alone: a caller may invent any number.
        subject = request.principal.kind if way.caller_in_body else request.principal.subject
        # Before gate 2, so that a caller who is refused again and again costs no check and no row.
        permission = f"{way.relation} on {resource}"
        content = operation.repeat_by(arguments["parsed"]) if operation.repeat_by else None
        ports.limits.admit(
            subject=subject, permission=permission, limit=operation.limit, content=content
        )
        addressed = way.gates(request, addressed_id)
        ports.limits.granted(subject, permission)
        needed = [ports.optional.find(operation.needs)] if operation.needs else []
        result = operation.handler(request, addressed, *needed, **arguments)
    except DatastoreBusy as error:
        raise refusal_for(error) from error
    except DatastoreUnavailable as error:
        request, outcome = replace(request, deadline=call.deadline), GRANTED_STALE
        result = _without_ledger(request, addressed_id, error)
    except ComposerError as error:
        if isinstance(error, (NodeNotFound, CredentialEnded)) and addressed_id is not None:
            ports.last_answers.forget(addressed_id)
        raise refusal_for(error) from error
    if operation.audited_grants is AuditedGrants.ALL:
        # The digest says which state the caller has now; the answer to a HEAD has no body.
        digest = result.digest if call.takes_body else None
        request.record(outcome, resource, digest=digest)
    return result.with_headers(operation.headers)


def _without_ledger(
    request: Request, addressed_id: UUID | None, error: DatastoreUnavailable
) -> Answer:
    """The answer of an operation that has one while Postgres is away; else the refusal."""
    answer_of = request.operation.without_ledger
    try:
        found = answer_of(request, addressed_id) if answer_of and addressed_id else None
    except ComposerError as other:
        raise refusal_for(other) from other
    if found is None:
        raise refusal_for(error) from error
    return found
