"""RenewNodeToken: an agent gets a new token before its old token expires."""

from __future__ import annotations

from composer.identity import AddressedNode
from composer.node_token import NodeToken, TokenMint
from handlers.answers import Answer
from handlers.operation import Request
from handlers.wire_values import instant


def renew_node_token(request: Request, node: AddressedNode, mint: TokenMint) -> Answer:
    """A new token of the Node. The old token stays valid until it expires."""
    token = mint.mint(node.id, node.tokens_not_before)
    request.ports.credentials.record_token(node.id, request.write, request.deadline)
    return Answer(200, token_value(token))


def token_value(token: NodeToken) -> dict[str, object]:
    """A NodeToken as a JSON value."""
    return {"token": token.token, "expires_at": instant(token.expires_at)}
