"""Wire bytes: those of Python's ``json`` over dicts written here by hand."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.bridge import BridgeRows, EffectiveConfigBuilder, RelayRow
from composer.policy import policy
from composer.snapshot import NodeStateSnapshot, Reports, StateEntry
from handlers.wire import SnapshotWire
from tests.factories import (
    ALLOW_HTTPS,
    DENY_ALL_6,
    EPOCH,
    assignment,
    bridge_rows,
    ingress_rule,
    key_bytes,
    node_id,
    peer_row,
    provider,
    reachability,
    rule_set,
    snapshot,
    tunnel,
)

EMPTY: dict[str, Any] = {"metadata": [], "data": [], "reports": []}
AT = "2026-11-23T07:00:00Z"
PROVIDER = {
    "id": "00000000-0000-0000-0000-000000003001",
    "slug": "staff",
    "kind": "wireguard",
    "interface_name": "wg-staff",
    "listen_port": 51830,
    "max_peers": 250,
    "auth_secret_ref": "secret:project/0190b2c0/staff-vpn:3",
    "routing_policy": {"routes": ["10.42.0.0/16"], "split_tunnel": True},
    "created_at": AT,
    "updated_at": "2026-11-23T07:00:00.5Z",
}
INGRESS = {
    "id": "00000000-0000-0000-0000-000000003002",
    "slug": "shop",
    "sni_host": "shop.example.com",
    "target_node_id": "0190b2c4-8d5e-7000-8000-000000000002",
    "target_port": 8443,
    "created_at": AT,
    "updated_at": AT,
    "acme_account_ref": "acme-main",
}
TUNNEL = {
    "id": "00000000-0000-0000-0000-000000003003",
    "slug": "plant-north",
    "kind": "ipsec",
    "remote_host": "vpn.plant-north.example.com",
    "remote_port": 4500,
    "auth_secret_ref": "secret:project/0190b2c0/plant-north",
    "allowed_subnets": ["192.168.20.0/24", "192.168.10.0/24"],
    "routing_policy": "egress_only",
    "created_at": AT,
    "updated_at": AT,
}
RELAY = {
    "enabled": True,
    "listen_port": 51821,
    "assignments": [
        {
            "peer_node_id": "0190b2c4-8d5e-7000-8000-000000000002",
            "fallback_endpoint": "relay.example.net",
            "fallback_endpoint_port": 51821,
        }
    ],
}


def peer(number: int, **extra: str) -> dict[str, str]:
    return {
        "node_id": str(node_id(number)),
        "mesh_ip": f"10.42.0.{number}",
        "public_key": base64.b64encode(key_bytes(number)).decode(),
        **extra,
    }


def text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def envelope(**blocks: Any) -> bytes:
    plain = {
        "peers": [peer(2), peer(3)],
        "reachability": {"state": "healthy", "last_heartbeat_at": AT, "changed_at": AT},
        "policy": None,
        "bridge": None,
        "state": EMPTY,
        "reports": EMPTY,
    }
    assert plain.keys() >= blocks.keys()
    return text(plain | blocks)


def served(given: NodeStateSnapshot) -> bytes:
    return SnapshotWire().encode(given).to_bytes()


def bridged(rows: BridgeRows) -> NodeStateSnapshot:
    return snapshot(bridge=EffectiveConfigBuilder().build(rows))


def test_a_plain_snapshot_has_all_six_keys() -> None:
    assert served(snapshot()) == envelope()


def test_a_node_alone_in_its_domain_has_an_empty_array_of_peers() -> None:
    assert served(snapshot(rows=[peer_row(1)])) == envelope(peers=[])


def test_a_peer_behind_a_relay_carries_its_fallback_endpoint_last() -> None:
    rows = [peer_row(1), peer_row(2, relay_host="fd00::1", relay_port=51821), peer_row(3)]
    peers = [peer(2, fallback_endpoint="[fd00::1]:51821"), peer(3)]
    assert served(snapshot(rows=rows)) == envelope(peers=peers)


def test_a_merged_policy_is_written_rule_by_rule() -> None:
    row = rule_set(1, ALLOW_HTTPS, DENY_ALL_6)
    block = {
        "revision_id": str(row.revision_id),
        "fingerprint": base64.b64encode(row.fingerprint).decode(),
        "rules": [ALLOW_HTTPS, DENY_ALL_6],
    }
    assert served(snapshot(policy=policy([row]))) == envelope(policy=block)


def test_a_policy_without_rules_is_not_null() -> None:
    block = {
        "revision_id": "00000000-0000-0000-0000-000000002001",
        "fingerprint": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "rules": [],
    }
    assert served(snapshot(policy=policy([rule_set(1)]))) == envelope(policy=block)


def test_a_full_bridge_has_all_four_parts_in_order() -> None:
    block = {
        "relay": RELAY,
        "user_access": {"providers": [PROVIDER]},
        "ingress": {"rules": [INGRESS]},
        "site_to_site": {"tunnels": [TUNNEL]},
    }
    assert served(bridged(bridge_rows())) == envelope(bridge=block)


def test_a_bridge_without_parts_is_an_empty_object_and_not_null() -> None:
    assert served(bridged(BridgeRows())) == envelope(bridge={})


BARE_RELAY = {"enabled": False, "listen_port": 1, "assignments": []}
PARTS: list[tuple[BridgeRows, dict[str, Any]]] = [
    (BridgeRows(relay=RelayRow(False, 1)), {"relay": BARE_RELAY}),
    (BridgeRows(relay=RelayRow(True, 51821), assignments=(assignment(2),)), {"relay": RELAY}),
    (BridgeRows(providers=(provider(),)), {"user_access": {"providers": [PROVIDER]}}),
    (BridgeRows(ingress_rules=(ingress_rule(),)), {"ingress": {"rules": [INGRESS]}}),
    (BridgeRows(tunnels=(tunnel(),)), {"site_to_site": {"tunnels": [TUNNEL]}}),
    (
        BridgeRows(tunnels=(tunnel(allowed_subnets=()),)),
        {"site_to_site": {"tunnels": [TUNNEL | {"allowed_subnets": []}]}},
    ),
]


@pytest.mark.parametrize(("rows", "block"), PARTS, ids=lambda value: str(value)[:20])
def test_an_aggregate_that_is_absent_has_no_key(rows: BridgeRows, block: Any) -> None:
    assert served(bridged(rows)) == envelope(bridge=block)


def test_an_ingress_rule_without_an_acme_account_has_no_key_for_it() -> None:
    rows = BridgeRows(ingress_rules=(ingress_rule(acme_account_ref=None),))
    rule = {key: value for key, value in INGRESS.items() if key != "acme_account_ref"}
    assert served(bridged(rows)) == envelope(bridge={"ingress": {"rules": [rule]}})


def test_a_free_form_policy_has_its_keys_in_code_point_order_at_every_depth() -> None:
    free = {"z": 1, "B": [{"b": None, "a": 1.5}], "a": {"é": True, "e": "x"}}
    rows = BridgeRows(providers=(provider(routing_policy=free),))
    ordered = {"B": [{"a": 1.5, "b": None}], "a": {"e": "x", "é": True}, "z": 1}
    block = {"user_access": {"providers": [PROVIDER | {"routing_policy": ordered}]}}
    assert served(bridged(rows)) == envelope(bridge=block)


def test_state_and_reports_are_written_alike() -> None:
    state = Reports(
        metadata=(StateEntry("region", "eu"),),
        data=(StateEntry("site", "Zürich", None),),
        reports=(StateEntry("disk", "ok", "agent"),),
    )
    block = {
        "metadata": [{"key": "region", "value": "eu"}],
        "data": [{"key": "site", "value": "Zürich"}],
        "reports": [{"key": "disk", "value": "ok", "workload_tag": "agent"}],
    }
    assert served(snapshot(state=state)) == envelope(state=block, reports=block)


ODD = ['"', "\\", "/", "\x00\x1f\x7f", "\u2028\u2029", "é", "\U0001f600", "\ufeff", "<&>", "\r\n\t"]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_text_is_escaped_as_little_as_json_allows(odd: str) -> None:
    block = {**EMPTY, "data": [{"key": odd, "value": odd}]}
    shown = snapshot(state=Reports(data=(StateEntry(odd, odd),)))
    assert served(shown) == envelope(state=block, reports=block)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=3))
@settings(deadline=None, database=None, max_examples=100)
def test_any_text_is_written_as_python_writes_it(key: str, value: str) -> None:
    block = {**EMPTY, "reports": [{"key": key, "value": value}]}
    shown = snapshot(state=Reports(reports=(StateEntry(key, value),)))
    assert served(shown) == envelope(state=block, reports=block)


def test_a_lone_surrogate_is_no_text_and_is_never_served() -> None:
    with pytest.raises(UnicodeEncodeError):
        served(snapshot(state=Reports(data=(StateEntry("a", "\ud800"),))))


def test_the_moments_of_reachability_are_written_so() -> None:
    values = reachability(
        state="", last_heartbeat_at=datetime(1, 1, 1, tzinfo=UTC), changed_at=EPOCH
    )
    block = {"state": "", "last_heartbeat_at": "0001-01-01T00:00:00Z", "changed_at": AT}
    assert served(snapshot(reachability=values)) == envelope(reachability=block)
