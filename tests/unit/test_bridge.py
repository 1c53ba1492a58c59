"""The ``bridge`` block: what is absent, what is null, and the order of everything in it."""

from __future__ import annotations

import random
from uuid import UUID

import pytest

from composer.bridge import BridgeRows, EffectiveConfigBuilder, RelayRow
from composer.snapshot import Bridge, BridgeRelay, Ingress, SiteToSite, UserAccess
from tests.factories import assignment, bridge_rows, ingress_rule, node_id, provider, tunnel

SLUGS = ["a", "a-1", "a1", "b", "z-9", "z0"]


def built(rows: BridgeRows) -> Bridge:
    bridge = EffectiveConfigBuilder().build(rows)
    assert bridge is not None
    return bridge


def shuffled(values: list) -> tuple:
    values = list(values)
    random.Random(3).shuffle(values)
    return tuple(values)


def test_a_node_without_a_bridge_resource_has_no_bridge() -> None:
    assert EffectiveConfigBuilder().build(None) is None


def test_a_bridge_resource_without_aggregates_is_a_bridge_without_parts() -> None:
    assert built(BridgeRows()) == Bridge(None, None, None, None)


def test_all_four_aggregates_are_merged() -> None:
    assert built(bridge_rows()) == Bridge(
        relay=BridgeRelay(True, 51821, (assignment(2),)),
        user_access=UserAccess((provider(),)),
        ingress=Ingress((ingress_rule(),)),
        site_to_site=SiteToSite((tunnel(),)),
    )


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ("relay", "relay"),
        ("providers", "user_access"),
        ("ingress_rules", "ingress"),
        ("tunnels", "site_to_site"),
    ],
)
def test_an_aggregate_without_a_row_is_absent_and_the_others_stay(rows: str, part: str) -> None:
    bridge = built(bridge_rows(**{rows: None if rows == "relay" else ()}))
    parts = ("relay", "user_access", "ingress", "site_to_site")
    assert [name for name in parts if getattr(bridge, name) is None] == [part]


def test_a_relay_without_assignments_is_a_relay() -> None:
    assert built(BridgeRows(relay=RelayRow(True, 1))).relay == BridgeRelay(True, 1, ())


def test_a_disabled_relay_is_shown_as_disabled() -> None:
    rows = bridge_rows(relay=RelayRow(enabled=False, listen_port=51821))
    assert built(rows).relay == BridgeRelay(False, 51821, (assignment(2),))


def test_assignments_without_a_relay_make_none() -> None:
    assert built(BridgeRows(assignments=(assignment(2),))).relay is None


def test_assignments_ascend_by_the_bytes_of_the_peers_ids() -> None:
    ids = [UUID(int=1), node_id(1), node_id(2), node_id(300), UUID(int=2**128 - 1)]
    rows = shuffled([assignment(1, peer_node_id=peer_id) for peer_id in ids])
    relay = built(BridgeRows(relay=RelayRow(True, 1), assignments=rows)).relay
    assert relay is not None
    assert [shown.peer_node_id for shown in relay.assignments] == ids


def test_providers_ascend_by_the_code_points_of_their_slugs() -> None:
    access = built(BridgeRows(providers=shuffled([provider(slug) for slug in SLUGS]))).user_access
    assert access is not None
    assert [shown.slug for shown in access.providers] == SLUGS


def test_ingress_rules_ascend_by_the_code_points_of_their_slugs() -> None:
    rows = shuffled([ingress_rule(slug) for slug in SLUGS])
    ingress = built(BridgeRows(ingress_rules=rows)).ingress
    assert ingress is not None
    assert [rule.slug for rule in ingress.rules] == SLUGS


def test_tunnels_ascend_by_the_code_points_of_their_slugs() -> None:
    sites = built(BridgeRows(tunnels=shuffled([tunnel(slug) for slug in SLUGS]))).site_to_site
    assert sites is not None
    assert [shown.slug for shown in sites.tunnels] == SLUGS


def test_the_subnets_of_a_tunnel_keep_the_order_they_were_configured_in() -> None:
    subnets = ("192.168.20.0/24", "10.0.0.0/8", "192.168.10.0/24")
    sites = built(BridgeRows(tunnels=(tunnel(allowed_subnets=subnets),))).site_to_site
    assert sites is not None
    assert sites.tunnels[0].allowed_subnets == subnets
