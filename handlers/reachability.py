"""GetNodeReachability: the ``reachability`` block of the pull, without the rest."""

from __future__ import annotations

from dataclasses import dataclass, field

from composer.audit import AuditSink, SilentAudit
from composer.errors import ComposerError
from composer.identity import DomainRepo, NodeRepo, RelationChecker, node_object
from composer.reachability import ReachabilityRepo, reachability
from handlers.answers import Answer, Call
from handlers.domain_gates import node_viewed
from handlers.gates import (
    GRANTED,
    NODE_VIEW,
    Asked,
    audit,
    canonical_node_id,
    known_principal,
)
from handlers.refusals import REACHABILITY_NOT_PROVISIONED, Refused, refusal_for
from handlers.wire_values import reachability_value

READ_REACHABILITY = Asked(NODE_VIEW, "node_reachability.read")


@dataclass(frozen=True, slots=True)
class ReachabilityPorts:
    """Everything the read needs; without it the operation is bound to refuse_reachability."""

    relations: RelationChecker
    nodes: NodeRepo
    domains: DomainRepo
    verdicts: ReachabilityRepo
    audit: AuditSink = field(default_factory=SilentAudit)


def get_node_reachability(ports: ReachabilityPorts, call: Call, id: str) -> Answer:
    """The verdict as the pull shows it, byte for byte."""
    principal = known_principal(call.principal)
    node_id = canonical_node_id(id)
    node_viewed(ports, call, principal, node_id, READ_REACHABILITY)
    try:
        verdict = reachability(ports.verdicts.of_node(node_id, call.deadline))
    except ComposerError as error:
        raise refusal_for(error) from error
    audit(ports, call, principal, node_object(node_id), outcome=GRANTED, asked=READ_REACHABILITY)
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
    return Answer(200, reachability_value(verdict), headers=headers)


def refuse_reachability() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
    raise Refused(REACHABILITY_NOT_PROVISIONED, "load-bearing ports are not wired")
