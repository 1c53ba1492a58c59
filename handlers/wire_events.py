"""Turns the payloads of events into JSON, with the values of the blocks that a pull shows."""

from __future__ import annotations

from composer.events import (
    BridgeConfigUpdated,
    Payload,
    PeerEndpointChanged,
    PeerKeyRotated,
    PeerRemoved,
    PolicyUpdated,
    PullRequired,
    ResyncRequired,
    SigningKeyRotated,
)
from composer.peers import Peer
from composer.snapshot import Reachability, Reports
from handlers.wire_values import (
    Json,
    base64_text,
    bridge_value,
    instant,
    json_text,
    peer_text,
    policy_value,
    reachability_value,
    reports_value,
)


def payload_text(payload: Payload) -> str:
    """Compact JSON with keys in the order of the schema (docs/design.md, Events)."""
    return peer_text(payload) if isinstance(payload, Peer) else json_text(_value(payload))


def _value(payload: Payload) -> Json:
    match payload:
        case PeerRemoved(node_id):
            return {"node_id": str(node_id)}
        case PeerKeyRotated(node_id, public_key):
            return {"node_id": str(node_id), "public_key": base64_text(public_key)}
        case PeerEndpointChanged(node_id, fallback_endpoint):
            return {"node_id": str(node_id)} | _unless_none("fallback_endpoint", fallback_endpoint)
        case PolicyUpdated(policy):
            return policy_value(policy) or {"fingerprint": "", "rules": []}
        case BridgeConfigUpdated(resource_id, config):
            text = None if resource_id is None else str(resource_id)
            resource = _unless_none("bridge_resource_id", text)
            return resource | {"effective_config": bridge_value(config) or {}}
        case Reports():
            value = reports_value(payload)
            return {"metadata": value["metadata"], "data": value["data"]}
        case Reachability():
            return reachability_value(payload)
        case SigningKeyRotated():
            return {
                "key_id": payload.key_id,
                "public_key": base64_text(payload.public_key),
                "previous_key_id": payload.previous_key_id,
                "transition_expires": instant(payload.transition_expires),
            }
        case ResyncRequired(reason):
            return {"reason": reason}
        case PullRequired():
            return {"pull_required": True}
        case Peer():
            raise AssertionError("see payload_text")


def _unless_none(key: str, value: str | None) -> Json:
    return {} if value is None else {key: value}
