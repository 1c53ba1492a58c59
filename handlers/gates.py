"""The gates of the reconciliation pull and its siblings, in the order of docs/design.md, Gates.

Each returns what the next one needs or raises Refused. The order is for security: existence must
not leak to a stranger, and a refusal costs nothing further in.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from composer.audit import AuditRow, AuditSink, SilentAudit
from composer.deadline import Deadline
from composer.errors import ComposerError
from composer.identity import (
    AddressedNode,
    NodeRepo,
    Principal,
    RelationChecker,
    node_object,
    parse_canonical_uuid,
)
from composer.snapshot import NodeStateSnapshot
from composer.snapshot_composer import SnapshotProvider
from handlers.answers import Call
from handlers.refusals import (
    INSUFFICIENT_RELATION,
    INVALID_NODE_ID,
    UNAUTHORIZED,
    Refused,
    refusal_for,
)

NODE_AGENT = "node-agent"
NODE_VIEW = "node-view"
AUDIT_RELATION_NODE_STATE_PULL = "node_state.pull"
GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Asked:
    """The relation an operation asks for, and what its audit rows call the operation."""

    relation: str
    audit_relation: str


PULL = Asked(NODE_AGENT, AUDIT_RELATION_NODE_STATE_PULL)

_log = logging.getLogger("plexsphere.gates")


class RelationPorts(Protocol):
    """What gate 2 asks, whatever the resource is."""

    @property
    def relations(self) -> RelationChecker: ...

    @property
    def audit(self) -> AuditSink: ...


class AccessPorts(RelationPorts, Protocol):
    """What gates 1 to 3 ask of an operation on a Node."""

    @property
    def nodes(self) -> NodeRepo: ...


@dataclass(frozen=True, slots=True)
class GatePorts:
    """The ports the pull's gates ask; the three load-bearing ones cannot be left out (gate 0)."""

    relations: RelationChecker
    nodes: NodeRepo
    snapshots: SnapshotProvider
    audit: AuditSink = field(default_factory=SilentAudit)


def known_principal(principal: Principal | None) -> Principal:
    """Gate 1: who asks. Before anything that costs a round trip."""
    if principal is None:
        raise Refused(UNAUTHORIZED, "no principal")
    return principal


def canonical_node_id(text: str) -> UUID:
    """Gate 1a: the id is a UUID in its one spelling."""
    node_id = parse_canonical_uuid(text)
    if node_id is None:
        raise Refused(INVALID_NODE_ID, "node id is not a canonical UUID")
    return node_id


def node_agent(
    ports: AccessPorts, call: Call, principal: Principal, node_id: UUID, asked: Asked = PULL
) -> None:
    """Gate 2 of what a Node's own agent does."""
    related(ports, call, principal, node_object(node_id), asked)


def related(
    ports: RelationPorts, call: Call, principal: Principal, resource: str, asked: Asked
) -> None:
    """Gate 2, before gate 3: existence must not leak."""
    try:
        allowed = ports.relations.check(principal, asked.relation, resource, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    if not allowed:
        raise insufficient(ports, call, principal, resource, asked)


def addressed_node(
    ports: AccessPorts, call: Call, principal: Principal, node_id: UUID, asked: Asked = PULL
) -> AddressedNode:
    """Gate 3: the Node, and gate 2 once more where its row knows a later relationship write."""
    try:
        node = ports.nodes.get_by_id(node_id, call.deadline)
        allowed = node.authz_token is None or ports.relations.check_at_least(
            principal, asked.relation, node_object(node_id), node.authz_token, call.deadline
        )
    except ComposerError as error:
        raise refusal_for(error) from error
    if not allowed:
        raise insufficient(ports, call, principal, node_object(node_id), asked)
    return node


def composed(ports: GatePorts, node: AddressedNode, deadline: Deadline) -> NodeStateSnapshot:
    """Gate 4: all six blocks or a refusal."""
    try:
        return ports.snapshots.snapshot_for_node(node.id, node.domain_id, deadline)
    except ComposerError as error:
        raise refusal_for(error) from error


def audit(
    ports: RelationPorts,
    call: Call,
    principal: Principal,
    resource: str,
    outcome: str,
    digest: str | None = None,
    asked: Asked = PULL,
    is_done: bool = False,
) -> None:
    """Record an outcome; best effort, so a sink that breaks its promise still refuses nobody."""
    row = AuditRow(
        relation=asked.audit_relation,
        outcome=outcome,
        subject=principal.subject,
        object=resource,
        correlation_id=call.correlation_id,
        digest=digest,
        is_done=is_done,
    )
    try:
        ports.audit.record(row)
    except Exception:
        _log.exception("audit_row_lost", extra={"correlation_id": call.correlation_id})


def audit_done(
    ports: RelationPorts, call: Call, principal: Principal, resource: str, asked: Asked
) -> None:
    """Record a write as soon as the ledger has it: what comes after may still fail."""
    audit(ports, call, principal, resource, outcome=GRANTED, asked=asked, is_done=True)


def insufficient(
    ports: RelationPorts, call: Call, principal: Principal, resource: str, asked: Asked
) -> Refused:
    """The refusal of gate 2, recorded."""
    code = INSUFFICIENT_RELATION.code
    assert code is not None
    audit(ports, call, principal, resource, outcome=code, asked=asked)
    return Refused(
        INSUFFICIENT_RELATION, f"{principal.subject} lacks {asked.relation} on {resource}"
    )
