"""GetNodeState, the reconciliation pull; and GetNodeSnapshot, the same answer to a reader."""

from __future__ import annotations

from composer.identity import AddressedNode
from handlers.answers import Answer
from handlers.operation import Request


def get_node_state(request: Request, node: AddressedNode) -> Answer:
    """200 with the whole desired state, or 304 where the caller has it already."""
    snapshots, wire = request.ports.snapshots, request.ports.wire
    snapshot = snapshots.snapshot_for_node(node.id, node.domain_id, request.deadline, node.moment)
    body = wire.encode(snapshot)
    headers = {"ETag": f'W/"{body.digest}"'}
    if request.call.matches(body.digest):
        return Answer(304, media_type=None, headers=headers, confirmed=body)
    return Answer(200, body, headers=headers)
