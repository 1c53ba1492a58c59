"""Turns the blocks of a snapshot into JSON values, with keys in the order of the schema."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from composer.peers import Peer
from composer.snapshot import (
    Bridge,
    BridgeRelay,
    CompiledRule,
    IngressRule,
    Policy,
    Reachability,
    Reports,
    SiteToSiteTunnel,
    StateEntry,
    UserAccessProvider,
)

Json = dict[str, Any]

# Compact JSON with keys in their order. NaN and infinities raise, because they are not JSON.
json_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def base64_text(value: bytes) -> str:
    """Standard base64 with padding: 44 characters for 32 bytes."""
    return base64.b64encode(value).decode("ascii")


def instant(value: datetime) -> str:
    """RFC 3339 in UTC with ``Z``. The fraction has no trailing zeros and is absent where zero."""
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").rstrip(".") + "Z"


def peer_text(peer: Peer) -> str:
    """A NodeStatePeer as JSON text; a JSON encoder takes five times as long for each peer."""
    fallback = ""
    if peer.fallback_endpoint is not None:
        fallback = f',"fallback_endpoint":{json_text(peer.fallback_endpoint)}'
    return (
        f'{{"node_id":"{peer.node_id}","mesh_ip":{json_text(peer.mesh_ip)},'
        f'"public_key":"{base64_text(peer.public_key)}"{fallback}}}'
    )


def reachability_value(reachability: Reachability) -> Json:
    """A Reachability."""
    return {
        "state": reachability.state,
        "last_heartbeat_at": instant(reachability.last_heartbeat_at),
        "changed_at": instant(reachability.changed_at),
    }


def policy_value(policy: Policy | None) -> Json | None:
    """A NodeStatePolicy or null."""
    if policy is None:
        return None
    return {
        "revision_id": str(policy.revision_id),
        "fingerprint": base64_text(policy.fingerprint),
        "rules": [_rule_value(rule) for rule in policy.rules],
    }


def _rule_value(rule: CompiledRule) -> Json:
    value: Json = {
        "action": rule.action,
        "protocol": rule.protocol,
        "source_cidr": rule.source_cidr,
        "destination_cidr": rule.destination_cidr,
    }
    if rule.ports is not None:
        value["ports"] = {"from": rule.ports.from_, "to": rule.ports.to}
    return value


def bridge_value(bridge: Bridge | None) -> Json | None:
    """A NodeStateBridge or null; a part that the bridge does not have has no key."""
    if bridge is None:
        return None
    value: Json = {}
    if bridge.relay is not None:
        value["relay"] = _relay_value(bridge.relay)
    if bridge.user_access is not None:
        providers = bridge.user_access.providers
        value["user_access"] = {"providers": [_provider_value(provider) for provider in providers]}
    if bridge.ingress is not None:
        value["ingress"] = {"rules": [_ingress_value(rule) for rule in bridge.ingress.rules]}
    if bridge.site_to_site is not None:
        tunnels = bridge.site_to_site.tunnels
        value["site_to_site"] = {"tunnels": [_tunnel_value(tunnel) for tunnel in tunnels]}
    return value


def _relay_value(relay: BridgeRelay) -> Json:
    return {
        "enabled": relay.enabled,
        "listen_port": relay.listen_port,
        "assignments": [
            {
                "peer_node_id": str(assignment.peer_node_id),
                "fallback_endpoint": assignment.fallback_endpoint,
                "fallback_endpoint_port": assignment.fallback_endpoint_port,
            }
            for assignment in relay.assignments
        ],
    }


def _provider_value(provider: UserAccessProvider) -> Json:
    return {
        "id": str(provider.id),
        "slug": provider.slug,
        "kind": provider.kind,
        "interface_name": provider.interface_name,
        "listen_port": provider.listen_port,
        "max_peers": provider.max_peers,
        "auth_secret_ref": provider.auth_secret_ref,
        "routing_policy": _sorted(provider.routing_policy),
        "created_at": instant(provider.created_at),
        "updated_at": instant(provider.updated_at),
    }


def _sorted(value: Any) -> Any:
    """A free-form value with sorted keys at every depth, so that equal values have equal bytes."""
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value


def _ingress_value(rule: IngressRule) -> Json:
    value: Json = {
        "id": str(rule.id),
        "slug": rule.slug,
        "sni_host": rule.sni_host,
        "target_node_id": str(rule.target_node_id),
        "target_port": rule.target_port,
        "created_at": instant(rule.created_at),
        "updated_at": instant(rule.updated_at),
    }
    if rule.acme_account_ref is not None:
        value["acme_account_ref"] = rule.acme_account_ref
    return value


def _tunnel_value(tunnel: SiteToSiteTunnel) -> Json:
    return {
        "id": str(tunnel.id),
        "slug": tunnel.slug,
        "kind": tunnel.kind,
        "remote_host": tunnel.remote_host,
        "remote_port": tunnel.remote_port,
        "auth_secret_ref": tunnel.auth_secret_ref,
        "allowed_subnets": list(tunnel.allowed_subnets),
        "routing_policy": tunnel.routing_policy,
        "created_at": instant(tunnel.created_at),
        "updated_at": instant(tunnel.updated_at),
    }


def reports_value(reports: Reports) -> Json:
    """A NodeStateReports."""
    return {
        "metadata": [_entry_value(entry) for entry in reports.metadata],
        "data": [_entry_value(entry) for entry in reports.data],
        "reports": [_entry_value(entry) for entry in reports.reports],
    }


def _entry_value(entry: StateEntry) -> Json:
    value: Json = {"key": entry.key, "value": entry.value}
    if entry.workload_tag is not None:
        value["workload_tag"] = entry.workload_tag
    return value


def accepted_entry_value(accepted_at: datetime, key: str) -> Json:
    """A StateEntryAccepted."""
    return {"accepted_at": instant(accepted_at), "key": key}


def heartbeat_value(accepted_at: datetime) -> Json:
    """A NodeHeartbeatResponse."""
    return {
        "accepted_at": instant(accepted_at),
        "reconcile": False,  # until the service can detect a divergence
        "rotate_keys": False,  # until the service can ask for a key rotation
    }
