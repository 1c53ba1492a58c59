"""RenewNodeToken: an agent gets the next token before the one it holds expires."""

from __future__ import annotations

from dataclasses import dataclass, field

from composer.audit import AuditSink, SilentAudit
from composer.errors import ComposerError
from composer.identity import NodeRepo, RelationChecker, node_object
from composer.node_token import NodeToken, TokenMint
from handlers.answers import Answer, Call
from handlers.gates import (
    GRANTED,
    NODE_AGENT,
    Asked,
    addressed_node,
    audit,
    canonical_node_id,
    insufficient,
    known_principal,
    node_agent,
)
from handlers.refusals import TOKEN_SIGNING_NOT_PROVISIONED, Refused, refusal_for
from handlers.wire_values import instant

RENEW_TOKEN = Asked(NODE_AGENT, "node.token")
# A credential is kept by whoever asked, and by nothing on the way to it (RFC 6749, 5.1).
NOT_TO_BE_STORED = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class NodeTokenPorts:
    """Everything a renewal needs; without it the operation is bound to refuse_node_token."""

    relations: RelationChecker
    nodes: NodeRepo
    mint: TokenMint
    audit: AuditSink = field(default_factory=SilentAudit)


def renew_node_token(ports: NodeTokenPorts, call: Call, id: str) -> Answer:
    """A token of the Node, for the Node alone: who stands in for it would keep a credential that
    outlives the role. The old token stays good until it expires."""
    principal = known_principal(call.principal)
    node_id = canonical_node_id(id)
    node_agent(ports, call, principal, node_id, RENEW_TOKEN)
    if principal.subject != node_object(node_id):
        raise insufficient(ports, call, principal, node_object(node_id), RENEW_TOKEN)
    addressed_node(ports, call, principal, node_id, RENEW_TOKEN)
    try:
        token = ports.mint.mint(node_id)
    except ComposerError as error:
        raise refusal_for(error) from error
    audit(ports, call, principal, node_object(node_id), outcome=GRANTED, asked=RENEW_TOKEN)
    return Answer(200, token_value(token), headers=NOT_TO_BE_STORED)


def token_value(token: NodeToken) -> dict[str, object]:
    """A token as an answer shows it: ``token`` and the moment it expires."""
    return {"token": token.token, "expires_at": instant(token.expires_at)}


def refuse_node_token() -> Answer:
    """Gate 0: nothing is asked further in while there is no key to sign with."""
    raise Refused(TOKEN_SIGNING_NOT_PROVISIONED, "no signing key, or no ledger, is wired")
