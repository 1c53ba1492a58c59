"""The ``peers`` bytes: encoded once a Domain, cut once a Node."""

from __future__ import annotations

import base64
import gc
import json
import weakref
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.peers import Peer
from composer.registry import MOST_NODES
from handlers.peers import encode_peers, peers_digest
from handlers.wire import SnapshotWire, peers_block
from handlers.wire_values import peer_text
from tests.factories import domain_of, node_id, peer_row, snapshot

RELAYED = {"relay_host": "},{", "relay_port": 1}


def written(numbers: list[int], number: int, **changes: Any) -> bytes:
    domain = domain_of(*(peer_row(chosen, **changes) for chosen in numbers))
    return b"".join(peers_block(encode_peers(domain), node_id(number)).chunks())


def test_an_agent_reads_the_peers_of_the_largest_domain() -> None:
    longest = {
        "relay_host": "h" * 253,
        "relay_port": 65_535,
        "mesh_ip": "fd00:" + "1234:" * 6 + "1234",
    }
    (peer,) = domain_of(peer_row(1, **longest)).peers
    assert MOST_NODES * (len(peer_text(peer)) + 1) < 10 * 1024**2


def by_hand(numbers: list[int], number: int, **changes: Any) -> bytes:
    others = [
        domain_of(peer_row(other, **changes)).peers[0] for other in numbers if other != number
    ]
    return dumped([value_of(peer) for peer in others])


def value_of(peer: Peer) -> dict[str, str]:
    key = base64.b64encode(peer.public_key).decode()
    value = {"node_id": str(peer.node_id), "mesh_ip": peer.mesh_ip, "public_key": key}
    end = peer.fallback_endpoint
    return value if end is None else value | {"fallback_endpoint": end}


def dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("numbers", "number"),
    [
        ([1, 2, 3, 4], 1),
        ([1, 2, 3, 4], 2),
        ([1, 2, 3, 4], 3),
        ([1, 2, 3, 4], 4),
        ([1, 2], 1),
        ([1, 2], 2),
        ([1], 1),
        ([1, 2, 3], 9),
        ([1], 9),
        ([], 9),
    ],
    ids=["first", "second", "third", "last", "first of two", "last of two", "only", "absent",
         "absent from one", "absent from none"],
)  # fmt: skip
@pytest.mark.parametrize("changes", [{}, RELAYED], ids=["plain", "with braces inside"])
def test_a_nodes_peers_are_its_domains_without_itself(
    numbers: list[int], number: int, changes: dict[str, Any]
) -> None:
    assert written(numbers, number, **changes) == by_hand(numbers, number, **changes)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.uuids(), TEXTS, st.binary(min_size=32, max_size=32), st.none() | TEXTS)
@settings(deadline=None, database=None, max_examples=300)
def test_a_peer_is_written_as_an_encoder_would(
    node: UUID, address: str, key: bytes, end: str | None
) -> None:
    peer = Peer(node, address, key, end)
    assert peer_text(peer).encode() == dumped(value_of(peer))


def test_the_digest_alone_is_that_of_the_bytes() -> None:
    domain = domain_of(*(peer_row(number, **RELAYED) for number in (1, 2, 3)))
    assert peers_digest(domain) == encode_peers(domain).digest


@given(st.sets(st.integers(0, 500), max_size=8), st.integers(0, 500))
@settings(deadline=None, database=None, max_examples=100)
def test_whoever_is_cut_out_the_others_stay_valid_json(numbers: set[int], number: int) -> None:
    peers = json.loads(written(sorted(numbers), number))
    assert [peer["node_id"] for peer in peers] == [
        str(node_id(other)) for other in sorted(numbers) if other != number
    ]


def test_a_domain_is_encoded_once_for_all_its_nodes() -> None:
    domain = domain_of(*map(peer_row, (1, 2, 3)))
    wire = SnapshotWire()
    sources = {
        id(wire.encode(snapshot(number, domain=domain)).blocks[0].source) for number in (1, 2, 3)
    }
    assert len(sources) == 1


def test_another_domain_value_is_encoded_anew_even_under_the_same_revision() -> None:
    wire = SnapshotWire()
    wire.encode(snapshot(1, rows=[peer_row(1), peer_row(2)]))
    later = wire.encode(snapshot(1, rows=[peer_row(1), peer_row(2), peer_row(3)]))
    assert len(json.loads(later.to_bytes())["peers"]) == 2


def test_the_wire_keeps_no_domain_alive() -> None:
    domain = domain_of(peer_row(1))
    wire = SnapshotWire()
    wire.encode(snapshot(1, domain=domain))
    reference = weakref.ref(domain)
    del domain
    gc.collect()
    assert reference() is None


def test_two_encodings_of_one_ledger_are_equal_byte_for_byte() -> None:
    rows = [peer_row(number) for number in (3, 1, 2)]
    first = SnapshotWire().encode(snapshot(1, rows=rows))
    other = SnapshotWire().encode(snapshot(1, rows=rows[::-1]))
    assert (first.to_bytes(), first.digest) == (other.to_bytes(), other.digest)


def test_the_blocks_stand_in_the_order_of_the_contract() -> None:
    names = [block.name for block in SnapshotWire().encode(snapshot()).blocks]
    assert names == ["peers", "reachability", "policy", "bridge", "state", "reports"]
