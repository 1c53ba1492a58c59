"""PostNodeHeartbeat: a Node's agent says that it is alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.audit import AuditSink, SilentAudit
from composer.errors import ComposerError
from composer.heartbeat import HeartbeatSink, client_moment
from composer.identity import RelationChecker, node_object
from handlers.answers import Answer, Call
from handlers.gates import (
    NODE_AGENT,
    Asked,
    canonical_node_id,
    insufficient,
    known_principal,
    related,
)
from handlers.refusals import (
    HEARTBEAT_NOT_PROVISIONED,
    MALFORMED_HEARTBEAT_REQUEST,
    Refused,
    refusal_for,
)
from handlers.wire_values import instant

HEARTBEAT = Asked(NODE_AGENT, "node.heartbeat")


@dataclass(frozen=True, slots=True)
class HeartbeatPorts:
    """Everything a heartbeat needs; without it the operation is bound to refuse_heartbeat."""

    relations: RelationChecker
    heartbeats: HeartbeatSink
    audit: AuditSink = field(default_factory=SilentAudit)


def post_node_heartbeat(
    ports: HeartbeatPorts, call: Call, id: str, body: Mapping[str, Any]
) -> Answer:
    """Write the moment and nothing else. No audit row on success: the heartbeat is its own.

    Gate 3 is in the statement that writes, so it is one and no more where this process has decided
    at the Node's token already, which is always but once.
    """
    principal = known_principal(call.principal)
    node_id = canonical_node_id(id)
    about = node_object(node_id)
    related(ports, call, principal, about, HEARTBEAT)
    try:
        client_now = client_moment(body["client_now"])
        token = ports.relations.decided_at(principal, HEARTBEAT.relation, about)
        heard = ports.heartbeats.heartbeat(node_id, client_now, token, call.deadline)
        while heard.accepted_at is None:
            token = heard.authz_token
            if token is not None and not ports.relations.check_at_least(
                principal, HEARTBEAT.relation, about, token, call.deadline
            ):
                raise insufficient(ports, call, principal, about, HEARTBEAT)
            heard = ports.heartbeats.heartbeat(node_id, client_now, token, call.deadline)
    except ValueError as error:
        raise Refused(MALFORMED_HEARTBEAT_REQUEST, "client_now names no moment") from error
    except ComposerError as error:
        raise refusal_for(error) from error
    value = {
        "accepted_at": instant(heard.accepted_at),
        "reconcile": False,  # until something detects that a Node has diverged
        "rotate_keys": False,  # until rotations can be ordered
    }
    return Answer(200, value)


def refuse_heartbeat() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
    raise Refused(HEARTBEAT_NOT_PROVISIONED, "load-bearing ports are not wired")
