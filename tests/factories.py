"""Values for tests, deterministic and legal unless a test says otherwise."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID

from composer.identity import AddressedNode, Principal, PrincipalKind
from composer.peers import PeerRow
from composer.policy import RuleSetRow

DOMAIN = UUID("0190b2c4-0000-7000-8000-00000000d0d0")
ALLOW_HTTPS = {
    "action": "allow",
    "protocol": "tcp",
    "source_cidr": "10.0.0.0/8",
    "destination_cidr": "10.42.0.7/32",
    "ports": {"from": 443, "to": 443},
}


def node_id(number: int) -> UUID:
    """The ``number``-th Node's id: UUIDv7-shaped, ascending with the number."""
    return UUID(int=(0x0190B2C4_8D5E_7000_8000 << 48) + number)


def peer_row(number: int, **changes: Any) -> PeerRow:
    """The ``number``-th Node's row."""
    given: dict[str, Any] = {
        "node_id": node_id(number),
        "mesh_ip": f"10.42.{number // 256}.{number % 256}",
        "public_key": hashlib.sha256(str(number).encode()).digest(),
    }
    return PeerRow(**(given | changes))


def addressed(number: int, authz_token: str | None = None) -> AddressedNode:
    """The ``number``-th Node as gate 3 finds it."""
    return AddressedNode(node_id(number), DOMAIN, authz_token)


def agent_of(number: int) -> Principal:
    """The agent of the ``number``-th Node."""
    return Principal(PrincipalKind.NODE, str(node_id(number)))


def payload(*rules: dict[str, Any]) -> bytes:
    """Newline-framed canonical rules (D11)."""
    return b"".join(json.dumps(rule, separators=(",", ":")).encode() + b"\n" for rule in rules)


def rule_set(number: int, *rules: dict[str, Any], **changes: Any) -> RuleSetRow:
    """The compiled row of the ``number``-th Policy."""
    stream = payload(*rules)
    given: dict[str, Any] = {
        "policy_id": UUID(int=0x1000 + number),
        "revision_id": UUID(int=0x2000 + number),
        "rule_payload": stream,
        "fingerprint": hashlib.sha256(stream).digest(),
    }
    return RuleSetRow(**(given | changes))
