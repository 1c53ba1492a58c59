"""GetNodeState, the reconciliation pull; and GetNodeSnapshot, the same answer to a reader."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from composer.errors import LedgerBehind
from composer.identity import AddressedNode, node_object
from composer.position import LedgerPosition
from handlers.answers import Answer
from handlers.operation import Request
from handlers.wire import Block, SnapshotBody

# Whole seconds since the answer was made; only while Postgres is away.
STALE_HEADER = "X-Plexsphere-Stale-Seconds"
POSITION_HEADER = "X-Plexsphere-Ledger-Position"


def get_node_state(request: Request, node: AddressedNode) -> Answer:
    """200 with the whole desired state, or 304 where the caller has it already.

    Raises LedgerBehind where the ledger lacks what the caller has seen of it.
    """
    snapshots, wire = request.ports.snapshots, request.ports.wire
    snapshot = snapshots.snapshot_for_node(
        node_id=node.id, domain_id=node.domain_id, deadline=request.deadline, moment=node.moment
    )
    position, presented = snapshot.position, request.call.position
    if position and presented and not position.sees(presented):
        raise LedgerBehind(f"presented {presented.text}, found {position.text}")
    body = wire.encode(snapshot)
    if request.operation.has_last_answers(request.ports):
        request.ports.last_answers.keep(node, body.digest, body.blocks)
    return _answer(request, body, position)


def get_last_node_state(request: Request, node_id: UUID) -> Answer | None:
    """The last answer of the Node while Postgres is away, to a caller whom SpiceDB allows it now.

    The credential is checked against the row that the answer was made by.
    """
    kept = request.ports.last_answers.of_node(node_id)
    if kept is None:
        return None
    resource = node_object(node_id)
    relation = request.operation.way.relation
    if not request.ports.relations.check_now(
        principal=request.principal, relation=relation, resource=resource, deadline=request.deadline
    ):
        raise request.insufficient(resource)
    kept.node.check_credential(request.principal)
    request.ports.last_answers.sent_again(node_id, kept.age)
    blocks = tuple(Block(block.name, block.source, block.cut) for block in kept.blocks)
    answer = _answer(request, SnapshotBody(blocks, kept.digest))
    return replace(answer, headers={**answer.headers, STALE_HEADER: str(int(kept.age))})


def _answer(request: Request, body: SnapshotBody, position: LedgerPosition | None = None) -> Answer:
    headers = {"ETag": f'W/"{body.digest}"'}
    if position is not None:
        headers[POSITION_HEADER] = position.text
    if request.call.matches(body.digest):
        return Answer(304, media_type=None, headers=headers, confirmed=body)
    return Answer(200, body, headers=headers)
