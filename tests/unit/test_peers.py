"""The ``peers`` block: the per-peer invariants, the order, and who is left out."""

from __future__ import annotations

import random
from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.identity import NIL
from composer.peers import DroppedPeer, Peer, PeerRow, Peers, broken_invariant, domain_peers
from tests.factories import DOMAIN, REVISION, domain_of, key_bytes, node_id, peer_row

OCTETS = st.sampled_from(
    ["0", "00", "01", "9", "10", "99", "100", "199", "249", "255", "256", "1000", "", "x"]
)
BROKEN = {
    "invalid_node_id": [{"node_id": NIL}],
    "invalid_mesh_ip": [
        {"mesh_ip": address}
        for address in (
            None,
            "",
            "0.0.0.0",
            "::",
            "0:0:0:0:0:0:0:0",
            "10.42.0",
            "10.42.0.256",
            "10.42.0.07",
            "10.42.0.7/32",
            " 10.42.0.7",
            "10.42.0.7\n",
            "relay.example.net",
            "fd00:::1",
        )
    ],
    "empty_public_key": [{"public_key": key} for key in (None, b"", memoryview(b""), bytearray())],
    "malformed_public_key": [{"public_key": b"k" * size} for size in (1, 31, 33, 44, 64)],
}


def spelled(value: object) -> str:
    """Without an address in memory: a test must have the same name in two processes."""
    return repr(value).partition(" at 0x")[0][:60]


CASES = [(outcome, change) for outcome, changes in BROKEN.items() for change in changes]


@pytest.mark.parametrize(("outcome", "change"), CASES, ids=spelled)
def test_a_row_that_breaks_an_invariant_is_dropped_under_its_outcome(
    outcome: str, change: dict[str, object]
) -> None:
    bad = peer_row(2, **change)
    domain = domain_of(peer_row(1), bad, peer_row(3))
    assert domain.dropped == (DroppedPeer(bad.node_id, outcome),)


@pytest.mark.parametrize(("outcome", "change"), CASES, ids=spelled)
def test_a_dropped_row_takes_no_other_with_it(outcome: str, change: dict[str, object]) -> None:
    domain = domain_of(peer_row(1), peer_row(2, **change), peer_row(3))
    assert [peer.node_id for peer in domain.peers] == [node_id(1), node_id(3)]


@pytest.mark.parametrize(
    "address", ["10.42.0.7", "fd00:42::9", "::1", "0.0.0.1", "255.255.255.255"]
)
def test_a_row_that_holds_every_invariant_is_kept_as_it_is(address: str) -> None:
    domain = domain_of(peer_row(2, mesh_ip=address))
    assert (domain.peers, domain.dropped) == (
        (Peer(node_id(2), address, key_bytes(2), None),),
        (),
    )


@pytest.mark.parametrize(
    ("change", "first"),
    [
        ({"node_id": NIL, "mesh_ip": None, "public_key": None}, "invalid_node_id"),
        ({"mesh_ip": "0.0.0.0", "public_key": b""}, "invalid_mesh_ip"),
        ({"mesh_ip": None, "public_key": b"short"}, "invalid_mesh_ip"),
    ],
)
def test_a_row_that_breaks_several_invariants_is_named_by_the_first(
    change: dict[str, object], first: str
) -> None:
    assert broken_invariant(peer_row(2, **change)) == first


def test_peers_ascend_by_the_bytes_of_their_ids() -> None:
    ids = [UUID(int=number) for number in (1, 255, 256, 2**64, 2**127, 2**128 - 1)]
    rows = [peer_row(number, node_id=peer_id) for number, peer_id in enumerate(ids)]
    random.Random(7).shuffle(rows)
    assert [peer.node_id for peer in domain_of(*rows).peers] == ids


def test_dropped_rows_ascend_by_the_bytes_of_their_ids() -> None:
    rows = [peer_row(number, mesh_ip=None) for number in (9, 300, 2, 77)]
    named = [drop.peer_node_id for drop in domain_of(*rows).dropped]
    assert named == [node_id(number) for number in (2, 9, 77, 300)]


def test_a_domain_names_itself_and_its_revision() -> None:
    domain = domain_peers(DOMAIN, REVISION, [])
    assert (domain.domain_id, domain.revision, domain.peers) == (DOMAIN, REVISION, ())


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_key_is_copied_so_that_its_buffer_can_change(kind: type) -> None:
    buffer = bytearray(key_bytes(2))
    domain = domain_of(peer_row(2, public_key=kind(buffer)))
    buffer[:] = b"\0" * 32
    assert domain.peers[0].public_key == key_bytes(2)


def test_a_kept_key_is_plain_bytes() -> None:
    domain = domain_of(peer_row(2, public_key=memoryview(key_bytes(2))))
    assert type(domain.peers[0].public_key) is bytes


@pytest.mark.parametrize(
    ("host", "port", "endpoint"),
    [
        ("relay.example.net", 51821, "relay.example.net:51821"),
        ("192.0.2.1", 1, "192.0.2.1:1"),
        ("2001:db8::1", 65535, "[2001:db8::1]:65535"),
        ("::1", 51821, "[::1]:51821"),
        (None, 51821, None),
        ("relay.example.net", None, None),
        (None, None, None),
    ],
)
def test_an_assigned_relay_is_the_fallback_endpoint(
    host: str | None, port: int | None, endpoint: str | None
) -> None:
    domain = domain_of(peer_row(2, relay_host=host, relay_port=port))
    assert domain.peers[0].fallback_endpoint == endpoint


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_addressed_node_is_not_its_own_peer(number: int) -> None:
    peers = Peers(domain_of(*map(peer_row, (1, 2, 3))), node_id(number))
    assert [peer.node_id for peer in peers] == [node_id(n) for n in (1, 2, 3) if n != number]


def test_a_node_whose_own_row_is_corrupt_still_sees_every_other() -> None:
    peers = Peers(domain_of(peer_row(1, mesh_ip=None), peer_row(2), peer_row(3)), node_id(1))
    assert [peer.node_id for peer in peers] == [node_id(2), node_id(3)]


def test_a_node_alone_in_its_domain_has_no_peers() -> None:
    assert list(Peers(domain_of(peer_row(1)), node_id(1))) == []


def test_the_own_row_of_a_node_is_not_among_what_was_dropped_for_it() -> None:
    domain = domain_of(peer_row(1, mesh_ip=None), peer_row(2, mesh_ip=None))
    assert Peers(domain, node_id(1)).dropped() == (DroppedPeer(node_id(2), "invalid_mesh_ip"),)


def test_peers_are_a_sequence() -> None:
    peers = Peers(domain_of(*map(peer_row, (1, 2, 3, 4))), node_id(2))
    others = [peer.node_id for peer in (peers[0], peers[1], peers[-1], *peers[1:])]
    expected = [node_id(n) for n in (1, 3, 4, 3, 4)]
    assert (others, len(peers)) == (expected, 3)


def test_a_position_past_the_last_peer_is_no_peer() -> None:
    with pytest.raises(IndexError):
        Peers(domain_of(*map(peer_row, (1, 2))), node_id(2))[1]


@pytest.mark.parametrize(
    "value", [domain_of(peer_row(1)).peers[0], peer_row(1)], ids=["peer", "row"]
)
def test_values_cannot_be_changed(value: object) -> None:
    with pytest.raises(FrozenInstanceError):
        value.mesh_ip = "10.0.0.1"  # type: ignore[attr-defined]


ROWS = st.lists(
    st.builds(
        PeerRow,
        node_id=st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)),
        mesh_ip=st.sampled_from([None, "", "10.42.0.7", "0.0.0.0", "fd00::7", "::", "x"]),
        public_key=st.sampled_from([None, b"", b"k" * 31, b"k" * 32]),
    ),
    max_size=12,
    unique_by=lambda row: row.node_id,
)


@given(ROWS)
@settings(deadline=None, database=None, max_examples=100)
def test_every_row_is_kept_or_named_whatever_the_order_of_rows(rows: list[PeerRow]) -> None:
    first, other = domain_of(*rows), domain_of(*reversed(rows))
    seen = [peer.node_id for peer in first.peers] + [drop.peer_node_id for drop in first.dropped]
    assert sorted(seen) == sorted(row.node_id for row in rows)
    assert (first.peers, first.dropped) == (other.peers, other.dropped)


@settings(deadline=None)
@given(st.lists(OCTETS, min_size=3, max_size=5).map(".".join))
def test_an_ipv4_address_is_what_the_standard_library_reads_as_one(text: str) -> None:
    try:
        usable = not IPv4Address(text).is_unspecified
    except ValueError:
        usable = False
    assert (broken_invariant(peer_row(1, mesh_ip=text)) is None) is usable


def test_what_was_made_of_a_row_is_made_once_and_another_row_is_judged_anew() -> None:
    rows = [peer_row(1), peer_row(2), peer_row(3, public_key=b"")]
    before = domain_peers(DOMAIN, REVISION, rows)
    changed = peer_row(2, mesh_ip="0.0.0.0")
    after = domain_peers(DOMAIN, REVISION, [rows[0], changed, rows[2]], before)
    assert after.peers == (before.peers[0],) and after.peers[0] is before.peers[0]
    assert [drop.outcome for drop in after.dropped] == ["invalid_mesh_ip", "empty_public_key"]
    assert after.dropped[1] is before.dropped[0]
