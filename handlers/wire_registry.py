"""Turns Domains and their Nodes into JSON values, with keys in the order of the schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from composer.credentials import SecretKey
from composer.durations import format_duration
from composer.enrolment import IssuedToken
from composer.event_keys import EventKey
from composer.node_token import NodeToken
from composer.reachability import ReachabilityPolicy
from composer.registry import Domain, DomainPage, NodeSummary, RegisteredNode
from handlers.peers import EncodedPeers
from handlers.wire import Block, SnapshotBody, json_bytes, peers_block
from handlers.wire_values import Json, base64_text, instant


def domain_value(domain: Domain) -> Json:
    """A Domain."""
    value: Json = {"id": str(domain.id), "name": domain.name}
    optional = {
        "slug": domain.slug,
        "description": domain.description,
        "region": domain.region,
        "mesh_cidr": domain.mesh_cidr,
    }
    value |= {name: text for name, text in optional.items() if text is not None}
    value["created_at"] = instant(domain.created_at)
    value["updated_at"] = instant(domain.updated_at)
    value["reachability"] = reachability_policy_value(domain.reachability)
    value["child_counts"] = asdict(domain.child_counts)
    return value


def domain_page(page: DomainPage) -> Json:
    """A DomainPage."""
    value: Json = {"items": [domain_value(domain) for domain in page.items]}
    if page.next_cursor is not None:
        value["next_cursor"] = page.next_cursor
    return value


def reachability_policy_value(policy: ReachabilityPolicy) -> Json:
    """A DomainReachabilityPolicy."""
    return {
        "heartbeat_interval": format_duration(policy.heartbeat_interval),
        "stale_after": format_duration(policy.stale_after),
        "unreachable_after": format_duration(policy.unreachable_after),
    }


def registration_body(
    node: RegisteredNode,
    peers: EncodedPeers,
    token: NodeToken,
    secret_key: SecretKey,
    event_key: EventKey | None,
) -> SnapshotBody:
    """A NodeRegistration; ``peers`` are the Domain's, with the same bytes as in the pull."""
    before = {
        "node_id": str(node.node_id),
        "mesh_ip": node.mesh_ip,
        "domain_mesh_cidr": node.domain_mesh_cidr,
    }
    after = {
        "token": token.token,
        "expires_at": instant(token.expires_at),
        "nsk": base64_text(secret_key.secret),
        **({} if event_key is None else _event_key_texts(event_key)),
    }
    return SnapshotBody((*_blocks(before), peers_block(peers, node.node_id), *_blocks(after)))


def secret_key_value(node_id: UUID, secret_key: SecretKey) -> Json:
    """A NodeSecretKey."""
    return {"node_id": str(node_id), "nsk": base64_text(secret_key.secret)}


def node_key_value(node_id: UUID, public_key: bytes) -> Json:
    """A NodeKey."""
    return {"node_id": str(node_id), "public_key": base64_text(public_key)}


def issued_token_value(issued: IssuedToken, text: str) -> Json:
    """An IssuedBootstrapToken."""
    return {
        "token_id": str(issued.token_id),
        "token": text,
        "issued_at": instant(issued.issued_at),
        "expires_at": instant(issued.expires_at),
    }


def enrolment_body(
    node: RegisteredNode, event_key: EventKey, secret_key: SecretKey, peers: EncodedPeers
) -> SnapshotBody:
    """A NodeEnrolment; ``peers`` are the Domain's, without the Node."""
    texts = {
        "node_id": str(node.node_id),
        "mesh_ip": node.mesh_ip,
        "domain_mesh_cidr": node.domain_mesh_cidr,
        **_event_key_texts(event_key),
        "nsk": base64_text(secret_key.secret),
    }
    snapshot = Block("peer_snapshot", peers.array, deflated=peers.deflated, joined=peers.joined)
    return SnapshotBody((*_blocks(texts), snapshot))


def _event_key_texts(event_key: EventKey) -> dict[str, str]:
    return {
        "signing_key_id": event_key.id,
        "signing_public_key": base64_text(event_key.public_key),
    }


def _blocks(values: dict[str, str]) -> tuple[Block, ...]:
    """Blocks of this answer only."""
    return tuple(Block(name, json_bytes(text), is_cacheable=False) for name, text in values.items())


def node_page(nodes: Sequence[NodeSummary], next_cursor: str | None) -> Json:
    """A NodePage."""
    value: Json = {"items": [_node_summary(node) for node in nodes]}
    if next_cursor is not None:
        value["next_cursor"] = next_cursor
    return value


def _node_summary(node: NodeSummary) -> Json:
    value: Json = {"id": str(node.id), "domain_id": str(node.domain_id)}
    if node.name:
        value["name"] = node.name
    if node.mesh_ip is not None:
        value["mesh_ip"] = node.mesh_ip
    value["created_at"] = instant(node.created_at)
    return value
