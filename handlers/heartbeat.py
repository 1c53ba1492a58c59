"""PostNodeHeartbeat: a Node's agent says that it is alive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from composer.heartbeat import HeartbeatResult, client_moment
from composer.identity import node_object
from handlers.answers import Answer
from handlers.operation import Request
from handlers.refusals import MALFORMED_HEARTBEAT_REQUEST, Refused
from handlers.wire_values import heartbeat_value


def client_now(node_id: UUID, body: Mapping[str, Any]) -> datetime:
    """The time of the client's clock. No pattern can check that a day or a second exists."""
    try:
        return client_moment(body["client_now"])
    except ValueError as error:
        raise Refused(MALFORMED_HEARTBEAT_REQUEST, "client_now is not a time") from error


def post_node_heartbeat(request: Request, node_id: UUID, parsed: datetime) -> Answer:
    """Record the heartbeat.

    The statement that writes is also gate 3. Only the first heartbeat at a new ZedToken needs a
    second statement, because this process must first authorize the caller at that token.
    """
    resource = node_object(node_id)
    relation = request.operation.way.relation
    token = request.ports.relations.last_token(request.principal, relation, resource)
    result = _heartbeat(request=request, node_id=node_id, parsed=parsed, token=token)
    while result.accepted_at is None:
        token = result.authz_token
        if not request.has_relation_at(resource, token):
            raise request.insufficient(resource)
        result = _heartbeat(request=request, node_id=node_id, parsed=parsed, token=token)
    return Answer(200, heartbeat_value(result.accepted_at))


def _heartbeat(
    request: Request, node_id: UUID, parsed: datetime, token: str | None
) -> HeartbeatResult:
    return request.ports.heartbeats.heartbeat(
        principal=request.principal,
        node_id=node_id,
        client_now=parsed,
        last_token=token,
        deadline=request.deadline,
    )
