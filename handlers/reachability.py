"""GetNodeReachability: the ``reachability`` block of the pull alone."""

from __future__ import annotations

from composer.identity import AddressedNode
from composer.reachability import reachability
from handlers.answers import Answer
from handlers.operation import Request
from handlers.wire_values import reachability_value


def get_node_reachability(request: Request, node: AddressedNode) -> Answer:
    """The block, with the same bytes as in the pull."""
    row = request.ports.reachability.of_node(node.id, request.deadline)
    return Answer(200, reachability_value(reachability(row)))
