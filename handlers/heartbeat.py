"""PostNodeHeartbeat: a Node's agent says that it is alive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from composer.heartbeat import client_moment
from composer.identity import node_object
from handlers.answers import Answer
from handlers.operation import Request
from handlers.refusals import MALFORMED_HEARTBEAT_REQUEST, Refused
from handlers.wire_values import instant


def client_now(node_id: UUID, body: Mapping[str, Any]) -> datetime:
    """The client's clock. A pattern cannot say which days and seconds exist."""
    try:
        return client_moment(body["client_now"])
    except ValueError as error:
        raise Refused(MALFORMED_HEARTBEAT_REQUEST, "client_now names no moment") from error


def post_node_heartbeat(request: Request, node_id: UUID, wanted: datetime) -> Answer:
    """Write the moment and nothing else.

    Gate 3 is in the statement that writes. It is the only statement where this process has
    authorized the caller at the Node's token before, which is always but for the first time.
    """
    resource = node_object(node_id)
    relation = request.operation.way.relation
    heartbeats = request.ports.heartbeats
    token = request.ports.relations.last_token(request.principal, relation, resource)
    result = heartbeats.heartbeat(node_id, wanted, token, request.deadline)
    while result.accepted_at is None:
        token = result.authz_token
        if not request.has_relation_at(resource, token):
            raise request.insufficient(resource)
        result = heartbeats.heartbeat(node_id, wanted, token, request.deadline)
    value = {
        "accepted_at": instant(result.accepted_at),
        "reconcile": False,  # until a detector of divergence exists
        "rotate_keys": False,  # until key rotations can be ordered
    }
    return Answer(200, value)
