"""The event of each change of the ledger: its type, and what an agent does not need to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest

from composer.bridge import BridgeRows
from composer.events import (
    BridgeChange,
    BridgeConfigUpdated,
    Change,
    Event,
    LedgerEvent,
    PeerChange,
    PeerEndpointChanged,
    PeerKeyRotated,
    PeerRemoved,
    PolicyChange,
    PolicyUpdated,
    PullRequired,
    ResyncRequired,
    event,
)
from composer.peers import PeerRow, valid_peer
from composer.policy import RuleSetRow
from tests.factories import DOMAIN, key_bytes, node_id

ROW = PeerRow(node_id(1), "10.42.0.1", key_bytes(1), None, None)
RELAYED = replace(ROW, relay_host="relay.example", relay_port=7000)
OTHER_KEY = replace(ROW, public_key=key_bytes(2))
OTHER_ADDRESS = replace(ROW, mesh_ip="10.42.0.2")
OTHER_BOTH = replace(OTHER_KEY, mesh_ip="10.42.0.2")
# Rows that a pull leaves out.
INVALID = [
    replace(ROW, public_key=b"short"),
    replace(ROW, public_key=None),
    replace(ROW, mesh_ip="0.0.0.0"),
    replace(ROW, mesh_ip=None),
]


def of(block: str, change: Change | None) -> Event | None:
    return event(LedgerEvent(1, UUID(int=1), DOMAIN, None, block, change))


def added(row: PeerRow) -> Event:
    peer = valid_peer(row)
    assert peer is not None
    return Event("peer_added", peer)


REMOVED = Event("peer_removed", PeerRemoved(ROW.node_id))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, ROW, added(ROW)),
        (ROW, None, REMOVED),
        (ROW, OTHER_ADDRESS, added(OTHER_ADDRESS)),
        (ROW, OTHER_BOTH, added(OTHER_BOTH)),
        (ROW, OTHER_KEY, Event("peer_key_rotated", PeerKeyRotated(ROW.node_id, key_bytes(2)))),
        (
            ROW,
            RELAYED,
            Event("peer_endpoint_changed", PeerEndpointChanged(ROW.node_id, "relay.example:7000")),
        ),
        (RELAYED, ROW, Event("peer_endpoint_changed", PeerEndpointChanged(ROW.node_id, None))),
    ],
    ids=["new", "gone", "address", "address and key", "key", "relay", "no relay"],
)
def test_a_peer_that_changes(
    before: PeerRow | None, after: PeerRow | None, expected: Event
) -> None:
    assert of("peer", PeerChange(before, after)) == expected


@pytest.mark.parametrize("invalid", INVALID)
def test_a_row_that_becomes_valid_is_added_and_one_that_becomes_invalid_removed(
    invalid: PeerRow,
) -> None:
    assert of("peer", PeerChange(invalid, ROW)) == added(ROW)
    assert of("peer", PeerChange(ROW, invalid)) == REMOVED


def test_what_no_pull_shows_is_no_event() -> None:
    pairs: Iterable[tuple[PeerRow | None, PeerRow | None]] = [
        (ROW, ROW),
        *((None, row) for row in INVALID),
        *((row, None) for row in INVALID),
        (INVALID[0], INVALID[2]),
    ]
    assert [of("peer", PeerChange(*pair)) for pair in pairs] == [None] * 10


def test_more_peers_than_events_are_worth_are_a_resync() -> None:
    assert of("peer", None) == Event("resync_required", ResyncRequired("many_peers_changed"))


def test_a_node_without_rules_or_bridge_is_told_so() -> None:
    assert of("policy", PolicyChange(())) == Event("policy_updated", PolicyUpdated(None))
    gone = Event("bridge_config_updated", BridgeConfigUpdated(None, None))
    assert of("bridge", BridgeChange(None, None)) == gone
    empty = of("bridge", BridgeChange(UUID(int=7), BridgeRows()))
    assert empty is not None and empty != gone


def test_a_block_that_is_too_large_or_that_a_pull_refuses_must_be_pulled() -> None:
    corrupt = RuleSetRow(UUID(int=1), UUID(int=2), b"no rule\n", b"wrong")
    for change in (None, PolicyChange((corrupt,))):
        assert of("policy", change) == Event("policy_updated", PullRequired())
