"""The desired-state digest: everything but reachability's two timestamps."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from composer.bridge import BridgeRows, EffectiveConfigBuilder
from composer.policy import policy
from composer.snapshot import Bridge, NodeStateSnapshot, Reports, StateEntry
from handlers.wire import SnapshotWire
from tests.factories import (
    ALLOW_HTTPS,
    DENY_ALL_6,
    EPOCH,
    bridge_rows,
    peer_row,
    provider,
    reachability,
    rule_set,
    snapshot,
    tunnel,
)

LATER = EPOCH + timedelta(seconds=30)
BUILDER = EffectiveConfigBuilder()
ENTRIES = Reports(data=(StateEntry("site", "x"),), reports=(StateEntry("disk", "ok", "agent"),))
# What a Node's agent would have to act upon, each one change away from ``BEFORE``.
CHANGES: dict[str, dict[str, Any]] = {
    "a peer more": {"rows": [peer_row(n) for n in (1, 2, 3, 4)]},
    "a peer less": {"rows": [peer_row(1), peer_row(2)]},
    "a peer's address": {"rows": [peer_row(1), peer_row(2, mesh_ip="10.42.9.9"), peer_row(3)]},
    "a peer's key": {"rows": [peer_row(1), peer_row(2, public_key=b"K" * 32), peer_row(3)]},
    "a peer's relay": {
        "rows": [peer_row(1), peer_row(2, relay_host="r", relay_port=1), peer_row(3)]
    },
    "reachability state": {"reachability": reachability(state="stale")},
    "no policy": {"policy": None},
    "a rule": {"policy": policy([rule_set(1, DENY_ALL_6)])},
    "a policy without rules": {"policy": policy([rule_set(1)])},
    "a revision": {
        "policy": policy([rule_set(1, ALLOW_HTTPS, revision_id=rule_set(2).revision_id)])
    },
    "no bridge": {"bridge": None},
    "a bridge without parts": {"bridge": Bridge()},
    "a provider": {"bridge": BUILDER.build(bridge_rows(providers=(provider("b"),)))},
    "a tunnel": {"bridge": BUILDER.build(BridgeRows(tunnels=(tunnel(),)))},
    "no entries": {"state": Reports()},
    "an entry's value": {"state": replace(ENTRIES, data=(StateEntry("site", "y"),))},
    "an entry's bucket": {"state": replace(ENTRIES, data=(), metadata=ENTRIES.data)},
    "an entry's tag": {"state": replace(ENTRIES, reports=(StateEntry("disk", "ok"),))},
}


def before(**changes: Any) -> NodeStateSnapshot:
    values: dict[str, Any] = {
        "policy": policy([rule_set(1, ALLOW_HTTPS)]),
        "bridge": BUILDER.build(bridge_rows()),
        "state": ENTRIES,
    }
    return snapshot(**(values | changes))


def digest(given: NodeStateSnapshot) -> str:
    return SnapshotWire().encode(given).digest


def test_a_digest_is_64_hex_digits() -> None:
    assert re.fullmatch("[0-9a-f]{64}", digest(before()))


def test_a_ledger_has_one_digest_whoever_encodes_it() -> None:
    assert digest(before()) == digest(before())


@pytest.mark.parametrize("moment", ["last_heartbeat_at", "changed_at"])
def test_a_heartbeat_moves_no_digest(moment: str) -> None:
    moved = before(reachability=reachability(**{moment: LATER}))
    assert digest(moved) == digest(before())


@pytest.mark.parametrize("moment", ["last_heartbeat_at", "changed_at"])
def test_a_heartbeat_does_move_the_body(moment: str) -> None:
    wire = SnapshotWire()
    moved = wire.encode(before(reachability=reachability(**{moment: LATER}))).to_bytes()
    assert moved != wire.encode(before()).to_bytes()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_desired_state_moves_the_digest(change: str) -> None:
    assert digest(before(**CHANGES[change])) != digest(before())


def test_no_two_desired_states_share_a_digest() -> None:
    digests = {digest(before(**change)) for change in CHANGES.values()}
    assert len(digests) == len(CHANGES)


def test_two_nodes_of_a_domain_have_different_digests() -> None:
    assert digest(before(number=1)) != digest(before(number=2))


def test_every_state_of_reachability_has_a_digest_of_its_own() -> None:
    states = ("healthy", "stale", "unreachable", "")
    digests = {digest(before(reachability=reachability(state=state))) for state in states}
    assert len(digests) == 4


def test_a_dropped_row_that_was_never_served_moves_no_digest() -> None:
    rows = [peer_row(n) for n in (1, 2, 3)]
    corrupt = before(rows=[*rows, peer_row(4, mesh_ip=None)])
    assert digest(corrupt) == digest(before(rows=rows))


def test_reports_that_differ_from_state_move_the_digest() -> None:
    """They are one value today; the digest does not take that for granted."""
    assert digest(before(reports=Reports())) != digest(before())


def test_content_cannot_move_from_one_block_into_the_next_unseen() -> None:
    first = before(state=ENTRIES, reports=Reports())
    other = before(state=Reports(), reports=ENTRIES)
    assert digest(first) != digest(other)
