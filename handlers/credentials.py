"""RotateNodeSecretKey and RevokeNodeCredentials."""

from __future__ import annotations

from composer.identity import AddressedNode
from handlers.answers import NO_CONTENT, Answer
from handlers.operation import Request
from handlers.wire_registry import secret_key_value


def rotate_node_secret_key(request: Request, node: AddressedNode) -> Answer:
    """200 with a new secret key. It and the newest key before it are valid then, and no other."""
    secret_key = request.ports.secret_keys.new()
    request.ports.credentials.rotate_secret_key(
        node_id=node.id, digest=secret_key.digest, write=request.write, deadline=request.deadline
    )
    request.ports.last_answers.forget(node.id)
    return Answer(200, secret_key_value(node.id, secret_key))


def revoke_node_credentials(request: Request, node: AddressedNode) -> Answer:
    """204 when every secret key of the Node and every token issued so far has ended."""
    request.ports.credentials.revoke(node.id, request.write, request.deadline)
    request.ports.last_answers.forget(node.id)
    return NO_CONTENT
