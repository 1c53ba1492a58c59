"""GetNodeEvents: a stream of what the pull says, as it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from composer.deadline import Deadline
from composer.errors import ComposerError, CredentialEnded, NodeNotFound
from composer.event_streams import Decision, EventStreams, Subscriber
from composer.identity import AddressedNode
from handlers.answers import Answer
from handlers.operation import Request
from handlers.refusals import Refused

EVENT_STREAM = "text/event-stream"
# For caches, for proxies, and for clients of a later version.
STREAM_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
    "X-Plexsphere-API-Version": "v1",
}


def get_node_events(request: Request, node: AddressedNode, events: EventStreams) -> Answer:
    """200 with a stream that goes on after this answer's end."""
    subscriber = Subscriber(
        node_id=node.id,
        domain_id=node.domain_id,
        joined_seq=node.joined_seq,
        ask_again=partial(_decide, request, node),
        expires_at=request.principal.credential.expires_at,
    )
    position = _position(request.call.last_event_id)
    stream = events.subscribe(subscriber, position, request.deadline)
    return Answer(200, media_type=EVENT_STREAM, stream=stream)


def _position(text: str | None) -> int | None:
    """A number of more than 20 digits is after the last event, and so are its first 20."""
    return int(text.lstrip("0")[:20] or "0") if text else None


def _decide(request: Request, node: AddressedNode, deadline: Deadline) -> Decision:
    """Gates 2 and 3 once more. Only a refusal of gate 2 leaves an audit row.

    A Node that has moved has the events of another Domain. No error becomes a refusal: the answer
    has begun, so that the stream can only go on or end.
    """
    again = replace(request, deadline=deadline, call=replace(request.call, deadline=deadline))
    try:
        found = request.operation.way.gates(again, node.id)
    except (Refused, NodeNotFound, CredentialEnded):
        return Decision.NO
    except ComposerError:
        return Decision.UNDECIDED
    assert isinstance(found, AddressedNode)
    return Decision.YES if found.domain_id == node.domain_id else Decision.NO
