"""A Node's entries as they are written: reports by its own agent, metadata and data by editors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.audit import AuditSink, SilentAudit
from composer.entries import DATA, METADATA, REPORT, EntryRow, EntryStore
from composer.errors import ComposerError
from composer.identity import (
    AddressedNode,
    DomainRepo,
    NodeRepo,
    Principal,
    RelationChecker,
    node_object,
)
from handlers.answers import Answer, Call
from handlers.domain_gates import DOMAIN_EDIT, node_in_domain
from handlers.gates import (
    GRANTED,
    NODE_AGENT,
    Asked,
    addressed_node,
    audit,
    canonical_node_id,
    known_principal,
    node_agent,
)
from handlers.refusals import (
    ENTRIES_NOT_PROVISIONED,
    REPORTS_NOT_PROVISIONED,
    Refused,
    refusal_for,
)
from handlers.wire_values import instant

PUT_REPORT = Asked(NODE_AGENT, "node_report.put")
DELETE_REPORT = Asked(NODE_AGENT, "node_report.delete")
PUT_METADATA = Asked(DOMAIN_EDIT, "node_metadata.put")
DELETE_METADATA = Asked(DOMAIN_EDIT, "node_metadata.delete")
PUT_DATA = Asked(DOMAIN_EDIT, "node_data.put")
DELETE_DATA = Asked(DOMAIN_EDIT, "node_data.delete")


@dataclass(frozen=True, slots=True)
class ReportPorts:
    """Everything reports need; without it the operations are bound to refuse_reports."""

    relations: RelationChecker
    nodes: NodeRepo
    entries: EntryStore
    audit: AuditSink = field(default_factory=SilentAudit)


@dataclass(frozen=True, slots=True)
class EntryPorts:
    """Everything metadata and data need; without it they are bound to refuse_entries."""

    relations: RelationChecker
    nodes: NodeRepo
    domains: DomainRepo
    entries: EntryStore
    audit: AuditSink = field(default_factory=SilentAudit)


def put_node_state_report(
    ports: ReportPorts, call: Call, id: str, key: str, body: Mapping[str, Any]
) -> Answer:
    """Store a report; nobody but the Node's own agent may."""
    principal, node = _of_agent(ports, call, id, PUT_REPORT)
    return _put(ports, call, principal, node, PUT_REPORT, _entry(REPORT, key, body))


def delete_node_state_report(ports: ReportPorts, call: Call, id: str, key: str) -> Answer:
    """Remove a report."""
    principal, node = _of_agent(ports, call, id, DELETE_REPORT)
    return _remove(ports, call, principal, node, DELETE_REPORT, REPORT, key)


def put_node_metadata(
    ports: EntryPorts, call: Call, id: str, key: str, body: Mapping[str, Any]
) -> Answer:
    """Store a metadata entry; the Node's agent may not."""
    principal, node = _of_editor(ports, call, id, PUT_METADATA)
    return _put(ports, call, principal, node, PUT_METADATA, _entry(METADATA, key, body))


def delete_node_metadata(ports: EntryPorts, call: Call, id: str, key: str) -> Answer:
    """Remove a metadata entry."""
    principal, node = _of_editor(ports, call, id, DELETE_METADATA)
    return _remove(ports, call, principal, node, DELETE_METADATA, METADATA, key)


def put_node_data(
    ports: EntryPorts, call: Call, id: str, key: str, body: Mapping[str, Any]
) -> Answer:
    """Store a data entry; the Node's agent may not."""
    principal, node = _of_editor(ports, call, id, PUT_DATA)
    return _put(ports, call, principal, node, PUT_DATA, _entry(DATA, key, body))


def delete_node_data(ports: EntryPorts, call: Call, id: str, key: str) -> Answer:
    """Remove a data entry."""
    principal, node = _of_editor(ports, call, id, DELETE_DATA)
    return _remove(ports, call, principal, node, DELETE_DATA, DATA, key)


def refuse_reports() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
    raise Refused(REPORTS_NOT_PROVISIONED, "load-bearing ports are not wired")


def refuse_entries() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
    raise Refused(ENTRIES_NOT_PROVISIONED, "load-bearing ports are not wired")


def _of_agent(
    ports: ReportPorts, call: Call, id: str, asked: Asked
) -> tuple[Principal, AddressedNode]:
    principal = known_principal(call.principal)
    node_id = canonical_node_id(id)
    node_agent(ports, call, principal, node_id, asked)
    return principal, addressed_node(ports, call, principal, node_id, asked)


def _of_editor(
    ports: EntryPorts, call: Call, id: str, asked: Asked
) -> tuple[Principal, AddressedNode]:
    principal = known_principal(call.principal)
    return principal, node_in_domain(ports, call, principal, canonical_node_id(id), asked)


def _entry(kind: str, key: str, body: Mapping[str, Any]) -> EntryRow:
    return EntryRow(kind, key, body["value"], body.get("workload_tag") or None)


def _put(
    ports: ReportPorts | EntryPorts,
    call: Call,
    principal: Principal,
    node: AddressedNode,
    asked: Asked,
    entry: EntryRow,
) -> Answer:
    try:
        accepted_at = ports.entries.put(node, entry, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    audit(ports, call, principal, node_object(node.id), outcome=GRANTED, asked=asked)
    return Answer(200, {"accepted_at": instant(accepted_at), "key": entry.key})


def _remove(
    ports: ReportPorts | EntryPorts,
    call: Call,
    principal: Principal,
    node: AddressedNode,
    asked: Asked,
    kind: str,
    key: str,
) -> Answer:
    try:
        ports.entries.remove(node, kind, key, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    audit(ports, call, principal, node_object(node.id), outcome=GRANTED, asked=asked)
    return Answer(204, None, media_type=None)
