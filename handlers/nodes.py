"""RegisterNode, DeleteNode and RotateNodeKey."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from composer.errors import DatastoreUnavailable, NodeNotFound
from composer.identity import AddressedDomain, AddressedNode, node_object
from composer.node_token import TokenMint
from composer.registry import NewNode, Registration, wireguard_key
from handlers.answers import NO_CONTENT, Answer
from handlers.operation import Request
from handlers.refusals import PUBLIC_KEY_INVALID, Refused
from handlers.wire_registry import node_key_value, registration_body


def new_node(domain_id: UUID, body: Mapping[str, Any]) -> NewNode:
    """The Node to register."""
    return NewNode(new_key(domain_id, body), body.get("name", ""))


def new_key(addressed_id: UUID | None, body: Mapping[str, Any]) -> bytes:
    """The public key of a body. No pattern can check a key."""
    try:
        return wireguard_key(body["public_key"])
    except ValueError as error:
        raise Refused(PUBLIC_KEY_INVALID, f"public_key: {error}") from error


def register_node(
    request: Request, domain: AddressedDomain, mint: TokenMint, parsed: NewNode
) -> Answer:
    """201 with the Node, its peers and its credentials; 200 where the same request made the Node
    before: the answer of that request may be lost, so its credentials end and new ones are given.

    Relationships that cannot be written now stay in the outbox. The same request tries them again.
    The peers are read after the registration, and have the same bytes as in the pull. A service
    that cannot encrypt event keys leaves the Domain's event key out.
    """
    ports, deadline = request.ports, request.deadline
    secret_key = ports.secret_keys.new()
    registration = Registration(
        wanted=parsed,
        subject=request.principal.subject,
        idempotency_key=request.call.idempotency_key,
        secret_key_digest=secret_key.digest,
    )
    event_key = ports.optional.event_key(domain.id, deadline)
    try:
        node = ports.node_registry.register(
            domain_id=domain.id, registration=registration, write=request.write, deadline=deadline
        )
        resource = node_object(node.node_id)
        ports.outbox.deliver(resource, deadline)
        snapshot = ports.snapshots.snapshot_for_node(node.node_id, domain.id, deadline)
    except NodeNotFound as error:
        raise DatastoreUnavailable(f"deleted during the registration: {error}") from error
    token = mint.mint(node.node_id, node.tokens_not_before)
    peers = ports.wire.domain(snapshot.peers.domain)
    body = registration_body(
        node=node, peers=peers, token=token, secret_key=secret_key, event_key=event_key
    )
    return Answer(201 if node.is_new else 200, body)


def delete_node(request: Request, node: AddressedNode) -> Answer:
    """204 when the Node, its rows and its relationships are deleted. Its token is then refused."""
    request.ports.node_registry.deregister(node.id, request.write, request.deadline)
    request.ports.last_answers.forget(node.id)
    request.ports.outbox.deliver(node_object(node.id), request.deadline)
    return NO_CONTENT


def rotate_node_key(request: Request, node: AddressedNode, parsed: bytes) -> Answer:
    """200 when the Node has that key, also where it had it before. The next pulls show the key."""
    request.ports.node_registry.rotate_key(
        node_id=node.id, public_key=parsed, write=request.write, deadline=request.deadline
    )
    request.ports.last_answers.forget(node.id)
    return Answer(200, node_key_value(node.id, parsed))
