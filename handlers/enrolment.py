"""IssueBootstrapToken and PostRegister."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from composer.enrolment import (
    NODE_KIND,
    BootstrapToken,
    Enrolment,
    NewBootstrapToken,
    bootstrap_token_text,
    parse_bootstrap_token,
)
from composer.errors import BootstrapTokenInvalid, ComposerError, DomainNotFound
from composer.event_keys import EventKeys
from composer.identity import AddressedDomain, Principal, node_object
from handlers.answers import Answer
from handlers.nodes import new_key
from handlers.operation import Request
from handlers.refusals import BOOTSTRAP_TOKEN_INVALID, KIND_MISMATCH, Refused
from handlers.wire_registry import enrolment_body, issued_token_value

_log = logging.getLogger("plexsphere.enrolment")


@dataclass(frozen=True, slots=True)
class WantedToken:
    """The token of a body."""

    project_id: UUID
    resource_handle: str | None
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class WantedNode:
    """The Node of a body, and the caller that its token names; no secret is verified yet."""

    caller: Principal
    project_id: UUID
    resource_handle: str
    nonce: str
    public_key: bytes


def new_token(domain_id: UUID, body: Mapping[str, Any]) -> WantedToken:
    """The token to issue."""
    lifetime = timedelta(seconds=body["ttl_seconds"])
    return WantedToken(UUID(body["project_id"]), body.get("resource_handle"), lifetime)


def issue_bootstrap_token(request: Request, domain: AddressedDomain, parsed: WantedToken) -> Answer:
    """201 with the token, which no other answer shows."""
    secret_key = request.ports.secret_keys.new()
    wanted = NewBootstrapToken(
        digest=secret_key.digest,
        project_id=parsed.project_id,
        resource_handle=parsed.resource_handle,
        lifetime=parsed.lifetime,
        issuer=request.principal.subject,
    )
    tokens = request.ports.bootstrap_tokens
    issued = tokens.issue(
        domain_id=domain.id, wanted=wanted, write=request.write, deadline=request.deadline
    )
    text = bootstrap_token_text(issued.token_id, secret_key.secret)
    return Answer(201, issued_token_value(issued, text))


def new_enrolment(addressed: None, body: Mapping[str, Any]) -> WantedNode:
    """The Node to enrol. No schema can check a key or the whole of a token."""
    public_key = new_key(addressed, body)
    presented = parse_bootstrap_token(body["bootstrap_token"])
    if presented is None:
        raise Refused(BOOTSTRAP_TOKEN_INVALID, "the token is not of this form")
    if presented.kind != NODE_KIND:
        raise Refused(KIND_MISMATCH, f"the token is for a {presented.kind}")
    return WantedNode(
        caller=presented.caller,
        project_id=UUID(body["project_id"]),
        resource_handle=body["resource_handle"],
        nonce=body["nonce"],
        public_key=public_key,
    )


def enrol_node(
    request: Request, token: BootstrapToken, event_keys: EventKeys, parsed: WantedNode
) -> Answer:
    """201 with the Node, its peers and its secret key.

    Whatever may fail comes before the enrolment, because a refusal must not consume the token. The
    peers are those of the moment before. Relationships that cannot be written now stay in the
    outbox, and the outbox relay writes them.
    """
    ports, deadline = request.ports, request.deadline
    try:
        event_key = event_keys.current(token.domain_id, deadline)
        peers = ports.wire.domain(ports.snapshots.domain_peers(token.domain_id, deadline))
    except DomainNotFound as error:  # deleted with its tokens since the token was read
        raise BootstrapTokenInvalid(str(error)) from error
    secret_key = ports.secret_keys.new()
    enrolment = Enrolment(
        project_id=parsed.project_id,
        resource_handle=parsed.resource_handle,
        nonce=parsed.nonce,
        public_key=parsed.public_key,
        secret_key_digest=secret_key.digest,
    )
    node = ports.bootstrap_tokens.enrol(token.id, enrolment, request.write, deadline)
    # The Node exists and the token is spent, so a 503 here would cost the agent its secret key. The
    # relay writes the relationships; until then a request of the Node is refused.
    try:
        ports.outbox.deliver(node_object(node.node_id), deadline)
    except ComposerError as error:
        extra = {"correlation_id": request.call.correlation_id, "cause": str(error)}
        _log.warning("enrolled_before_its_relationships", extra=extra)
    return Answer(
        201, enrolment_body(node=node, event_key=event_key, secret_key=secret_key, peers=peers)
    )
