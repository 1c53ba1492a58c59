"""RegisterNode, DeleteNode and RotateNodeKey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.audit import AuditSink, SilentAudit
from composer.errors import ComposerError, NodeNotFound
from composer.identity import DomainRepo, NodeRepo, RelationChecker, node_object
from composer.node_token import TokenMint
from composer.registry import NewNode, NodeRegistry, OutboxRelay, wireguard_key
from composer.snapshot_composer import SnapshotProvider
from handlers.answers import Answer, Call
from handlers.domain_gates import (
    DOMAIN_EDIT,
    canonical_domain_id,
    granted_domain,
    node_in_domain,
)
from handlers.gates import (
    NODE_AGENT,
    Asked,
    addressed_node,
    audit_done,
    canonical_node_id,
    known_principal,
    node_agent,
)
from handlers.node_token import NOT_TO_BE_STORED
from handlers.refusals import (
    DATASTORE_UNAVAILABLE,
    NODES_NOT_PROVISIONED,
    PUBLIC_KEY_INVALID,
    REGISTRATION_NOT_PROVISIONED,
    Refused,
    refusal_for,
)
from handlers.wire import SnapshotWire
from handlers.wire_registry import registration_body
from handlers.wire_values import base64_text

REGISTER = Asked(DOMAIN_EDIT, "node.register")
# The Node was there already; its caller got a token of it all the same.
REGISTER_AGAIN = Asked(DOMAIN_EDIT, "node.register_again")
DEREGISTER = Asked(DOMAIN_EDIT, "node.deregister")
ROTATE_KEY = Asked(NODE_AGENT, "node.rotate_key")


@dataclass(frozen=True, slots=True)
class RegistrationPorts:
    """Everything a registration needs, the mint among them: without a signing key of the service's
    own it is bound to refuse_registration. ``wire`` is to be the pull's."""

    relations: RelationChecker
    domains: DomainRepo
    registry: NodeRegistry
    outbox: OutboxRelay
    snapshots: SnapshotProvider
    mint: TokenMint
    wire: SnapshotWire
    audit: AuditSink = field(default_factory=SilentAudit)


@dataclass(frozen=True, slots=True)
class NodeRegistryPorts:
    """Everything the other two need; without it they are bound to refuse_nodes."""

    relations: RelationChecker
    nodes: NodeRepo
    domains: DomainRepo
    registry: NodeRegistry
    outbox: OutboxRelay
    audit: AuditSink = field(default_factory=SilentAudit)


def register_node(
    ports: RegistrationPorts, call: Call, domain_id: str, body: Mapping[str, Any]
) -> Answer:
    """201 with the Node, its peers and its token; 200 where it was there already.

    What SpiceDB does not take stays in the ledger: the same request finds it, and settles again.
    The peers are read after the registration, by the way of the pull, so their bytes are its own.
    """
    principal = known_principal(call.principal)
    addressed = canonical_domain_id(domain_id)
    wanted = NewNode(_key(body), body.get("name", ""))
    granted_domain(ports, call, principal, addressed, REGISTER)
    try:
        node = ports.registry.register(addressed, wanted, call.idempotency_key, call.deadline)
        about = node_object(node.node_id)
        audit_done(ports, call, principal, about, REGISTER if node.is_new else REGISTER_AGAIN)
        ports.outbox.settle(about, call.deadline)
        snapshot = ports.snapshots.snapshot_for_node(node.node_id, addressed, call.deadline)
        token = ports.mint.mint(node.node_id)
    except NodeNotFound as error:
        raise Refused(DATASTORE_UNAVAILABLE, f"gone while being registered: {error}") from error
    except ComposerError as error:
        raise refusal_for(error) from error
    peers = ports.wire.domain(snapshot.peers.domain)
    body_of = registration_body(node, peers, token)
    return Answer(201 if node.is_new else 200, body_of, headers=NOT_TO_BE_STORED)


def delete_node(ports: NodeRegistryPorts, call: Call, id: str) -> Answer:
    """204 when the Node, all that hangs on it and its tuples are gone: its token is good for
    nothing any more."""
    principal = known_principal(call.principal)
    node_id = canonical_node_id(id)
    about = node_object(node_id)
    node_in_domain(ports, call, principal, node_id, DEREGISTER)
    try:
        ports.registry.deregister(node_id, call.deadline)
        audit_done(ports, call, principal, about, DEREGISTER)
        ports.outbox.settle(about, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    return Answer(204, None, media_type=None)


def rotate_node_key(
    ports: NodeRegistryPorts, call: Call, id: str, body: Mapping[str, Any]
) -> Answer:
    """200 when the Node has that key, also where it had it before; its peers see it at once."""
    principal = known_principal(call.principal)
    node_id = canonical_node_id(id)
    key = _key(body)
    node_agent(ports, call, principal, node_id, ROTATE_KEY)
    addressed_node(ports, call, principal, node_id, ROTATE_KEY)
    try:
        ports.registry.rotate_key(node_id, key, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    audit_done(ports, call, principal, node_object(node_id), ROTATE_KEY)
    return Answer(200, {"node_id": str(node_id), "public_key": base64_text(key)})


def refuse_registration() -> Answer:
    """Gate 0: nothing is asked further in while there is no key to sign tokens with."""
    raise Refused(REGISTRATION_NOT_PROVISIONED, "load-bearing ports are not wired")


def refuse_nodes() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
    raise Refused(NODES_NOT_PROVISIONED, "load-bearing ports are not wired")


def _key(body: Mapping[str, Any]) -> bytes:
    """Before the gates that cost a round trip: a pattern cannot say what a key is."""
    try:
        return wireguard_key(body["public_key"])
    except ValueError as error:
        raise Refused(PUBLIC_KEY_INVALID, f"public_key: {error}") from error
