"""Values for tests, deterministic and legal unless a test says otherwise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from composer.audit import AuditedWrite
from composer.bridge import BridgeRows, RelayRow
from composer.credentials import SecretKey
from composer.deadline import Deadline
from composer.entries import EntryRow
from composer.identity import AddressedNode, Principal, PrincipalKind
from composer.peers import DomainPeers, PeerRow, Peers, domain_peers
from composer.policy import RuleSetRow
from composer.registry import NewNode, Registration
from composer.snapshot import (
    IngressRule,
    NodeStateSnapshot,
    Reachability,
    RelayAssignment,
    Reports,
    SiteToSiteTunnel,
    UserAccessProvider,
)
from handlers.answers import Call

DOMAIN = UUID("0190b2c4-0000-7000-8000-00000000d0d0")
REVISION = UUID("00000000-0000-4000-8000-00000000000a")
EPOCH = datetime(2026, 11, 23, 7, 0, 0, tzinfo=UTC)
CORRELATION = "tick-2026-11-23"
WRITE = AuditedWrite("thing.write", "thing.write_again", "user:ada", CORRELATION)
ALLOW_HTTPS = {
    "action": "allow",
    "protocol": "tcp",
    "source_cidr": "10.0.0.0/8",
    "destination_cidr": "10.42.0.7/32",
    "ports": {"from": 443, "to": 443},
}
DENY_ALL_6 = {
    "action": "deny",
    "protocol": "any",
    "source_cidr": "fd00:42::/32",
    "destination_cidr": "fd00:42::7/128",
}


def node_id(number: int) -> UUID:
    """The ``number``-th Node's id: UUIDv7-shaped, ascending with the number."""
    return UUID(int=(0x0190B2C4_8D5E_7000_8000 << 48) + number)


def key_bytes(number: int) -> bytes:
    """The ``number``-th Node's public key."""
    return hashlib.sha256(str(number).encode()).digest()


def peer_row(number: int, **changes: Any) -> PeerRow:
    """The ``number``-th Node's row."""
    values: dict[str, Any] = {
        "node_id": node_id(number),
        "mesh_ip": f"10.42.{number // 256}.{number % 256}",
        "public_key": key_bytes(number),
    }
    return PeerRow(**(values | changes))


def domain_of(*rows: PeerRow) -> DomainPeers:
    """The filtered peers of a Domain with these rows."""
    return domain_peers(DOMAIN, REVISION, rows)


def addressed(number: int, authz_token: str | None = None) -> AddressedNode:
    """The ``number``-th Node as gate 3 finds it."""
    return AddressedNode(node_id(number), DOMAIN, authz_token)


def agent_of(number: int) -> Principal:
    """The agent of the ``number``-th Node."""
    return Principal(PrincipalKind.NODE, str(node_id(number)))


def call(principal: Principal | None = None, held: str | None = None) -> Call:
    """A request with three seconds on a clock that stands still; ``held`` is its opaque tag."""
    return Call(
        principal=principal,
        correlation_id=CORRELATION,
        deadline=Deadline.after(3.0, lambda: 1000.0),
        matches=lambda tag: tag == held,
    )


def payload(*rules: dict[str, Any]) -> bytes:
    """Newline-framed canonical rules."""
    return b"".join(json.dumps(rule, separators=(",", ":")).encode() + b"\n" for rule in rules)


def rule_set(number: int, *rules: dict[str, Any], **changes: Any) -> RuleSetRow:
    """The compiled row of the ``number``-th Policy; its fingerprint fits whatever its payload."""
    stream = changes.get("rule_payload", payload(*rules))
    values: dict[str, Any] = {
        "policy_id": UUID(int=0x1000 + number),
        "revision_id": UUID(int=0x2000 + number),
        "rule_payload": stream,
        "fingerprint": hashlib.sha256(stream).digest(),
    }
    return RuleSetRow(**(values | changes))


def entry(kind: str, key: str, value: str = "ok", workload_tag: str | None = None) -> EntryRow:
    """One entry of the Addressed Node."""
    return EntryRow(kind, key, value, workload_tag)


def assignment(number: int, **changes: Any) -> RelayAssignment:
    """The ``number``-th Node, falling back to the relay."""
    values: dict[str, Any] = {
        "peer_node_id": node_id(number),
        "fallback_endpoint": "relay.example.net",
        "fallback_endpoint_port": 51821,
    }
    return RelayAssignment(**(values | changes))


def provider(slug: str = "staff", **changes: Any) -> UserAccessProvider:
    """A user-access provider."""
    values: dict[str, Any] = {
        "id": UUID(int=0x3001),
        "slug": slug,
        "kind": "wireguard",
        "interface_name": "wg-staff",
        "listen_port": 51830,
        "max_peers": 250,
        "auth_secret_ref": "secret:project/0190b2c0/staff-vpn:3",
        "routing_policy": {"split_tunnel": True, "routes": ["10.42.0.0/16"]},
        "created_at": EPOCH,
        "updated_at": EPOCH.replace(microsecond=500_000),
    }
    return UserAccessProvider(**(values | changes))


def ingress_rule(slug: str = "shop", **changes: Any) -> IngressRule:
    """A published service."""
    values: dict[str, Any] = {
        "id": UUID(int=0x3002),
        "slug": slug,
        "sni_host": "shop.example.com",
        "target_node_id": node_id(2),
        "target_port": 8443,
        "created_at": EPOCH,
        "updated_at": EPOCH,
        "acme_account_ref": "acme-main",
    }
    return IngressRule(**(values | changes))


def tunnel(slug: str = "plant-north", **changes: Any) -> SiteToSiteTunnel:
    """A tunnel to a remote site."""
    values: dict[str, Any] = {
        "id": UUID(int=0x3003),
        "slug": slug,
        "kind": "ipsec",
        "remote_host": "vpn.plant-north.example.com",
        "remote_port": 4500,
        "auth_secret_ref": "secret:project/0190b2c0/plant-north",
        "allowed_subnets": ("192.168.20.0/24", "192.168.10.0/24"),
        "routing_policy": "egress_only",
        "created_at": EPOCH,
        "updated_at": EPOCH,
    }
    return SiteToSiteTunnel(**(values | changes))


def bridge_rows(**changes: Any) -> BridgeRows:
    """A bridge Resource with all four aggregates."""
    values: dict[str, Any] = {
        "relay": RelayRow(enabled=True, listen_port=51821),
        "assignments": (assignment(2),),
        "providers": (provider(),),
        "ingress_rules": (ingress_rule(),),
        "tunnels": (tunnel(),),
    }
    return BridgeRows(**(values | changes))


def reachability(**changes: Any) -> Reachability:
    """A healthy verdict."""
    values: dict[str, Any] = {"state": "healthy", "last_heartbeat_at": EPOCH, "changed_at": EPOCH}
    return Reachability(**(values | changes))


def snapshot(
    number: int = 1, rows: Iterable[PeerRow] | None = None, **blocks: Any
) -> NodeStateSnapshot:
    """The ``number``-th Node's snapshot in a Domain of three; blocks it is not given are empty."""
    if rows is None:
        rows = [peer_row(number) for number in (1, 2, 3)]
    domain = blocks.pop("domain", None) or domain_of(*rows)
    state = blocks.pop("state", Reports())
    values: dict[str, Any] = {
        "peers": Peers(domain, node_id(number)),
        "reachability": reachability(),
        "policy": None,
        "bridge": None,
        "state": state,
        "reports": state,
    }
    return NodeStateSnapshot(**(values | blocks))


def registration(
    wanted: NewNode, key: str | None = None, subject: str = "user:editor", secret: bytes = b"s" * 32
) -> Registration:
    """A request for a Node."""
    return Registration(
        wanted=wanted,
        subject=subject,
        idempotency_key=key,
        secret_key_digest=SecretKey(secret).digest,
    )
