"""GetNodeState: the reconciliation pull."""

from __future__ import annotations

from dataclasses import dataclass, field

from composer.identity import node_object
from handlers.answers import Answer, Call
from handlers.gates import (
    GRANTED,
    GatePorts,
    addressed_node,
    audit,
    canonical_node_id,
    composed,
    known_principal,
    node_agent,
)
from handlers.refusals import NOT_PROVISIONED, Refused
from handlers.wire import SnapshotWire


@dataclass(frozen=True, slots=True)
class PullPorts(GatePorts):
    """Everything the pull needs. Either this exists, or the operation is bound to refuse_pull."""

    wire: SnapshotWire = field(default_factory=SnapshotWire)


def get_node_state(ports: PullPorts, call: Call, id: str) -> Answer:
    """Answer 200 with the whole desired state, or 304 where the caller holds it already."""
    principal = known_principal(call.principal)
    node_id = canonical_node_id(id)
    node_agent(ports, call, principal, node_id)
    node = addressed_node(ports, call, principal, node_id)
    body = ports.wire.encode(composed(ports, node, call.deadline))
    # The digest is of what the caller then has: a HEAD brings it nothing.
    digest = body.digest if call.takes_body else None
    audit(ports, call, principal, node_object(node_id), outcome=GRANTED, digest=digest)
    headers = {
        "ETag": f'W/"{body.digest}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Accept-Encoding",
    }
    if call.holds(body.digest):
        return Answer(304, None, media_type=None, headers=headers, stands_for=body)
    return Answer(200, body, headers=headers)


def refuse_pull() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
    raise Refused(NOT_PROVISIONED, "load-bearing ports are not wired")
