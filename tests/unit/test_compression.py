"""A gzip body is one member and inflates to exactly the plain one, whatever was cut out of it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.peers import Peers
from handlers.compression import Pieces, deflated, deflated_text, gzip_member
from handlers.peers import GZIP_LEAST_BYTES, encode_peers
from handlers.wire import Block, SnapshotBody, SnapshotWire, peers_block
from tests.factories import domain_of, node_id, peer_row, snapshot


def inflated(packed: Pieces) -> bytes:
    """Of one member, with nothing behind it. Checks its checksum and its length."""
    member = packed.joined()
    assert len(member) == len(packed)
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    plain = reader.decompress(member)
    assert reader.eof and not reader.unused_data
    assert plain == gzip.decompress(member)
    return plain


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), max_size=8))
def test_parts_in_any_order_are_one_member(parts: list[tuple[bytes, bool]]) -> None:
    member = gzip_member([deflated(text) if packed else text for text, packed in parts])
    assert inflated(member) == b"".join(text for text, _ in parts)


def test_plain_bytes_longer_than_a_stored_block() -> None:
    text = Random(1).randbytes(200_000)
    assert inflated(gzip_member([text, deflated(text)])) == text + text


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=300), st.data())
def test_any_hole_in_a_text(text: bytes, data: st.DataObject) -> None:
    within = st.integers(0, len(text))
    ends = sorted({*data.draw(st.lists(within.filter(bool), max_size=6)), len(text)})
    start, end = sorted((data.draw(within), data.draw(within)))
    parts = [deflated(text[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    packed = deflated_text(text, ends, parts)
    assert inflated(gzip_member(packed.parts(None))) == text
    if start < end:
        assert inflated(gzip_member(packed.parts((start, end)))) == text[:start] + text[end:]
    behind_others = gzip_member([b"others", *packed.parts(None)])
    assert inflated(behind_others) == b"others" + text


PEERS = 300
DOMAIN_PEERS = domain_of(*map(peer_row, range(1, PEERS + 1)))


def test_the_gzip_body_of_each_node_is_its_plain_body() -> None:
    """The last Node is not among the peers at all."""
    for number in range(1, PEERS + 2):
        body = SnapshotWire().encode(snapshot(number, peers=Peers(DOMAIN_PEERS, node_id(number))))
        assert inflated(body.to_gzip()) == body.to_bytes(), number
        assert body.size == len(body.to_bytes()) >= GZIP_LEAST_BYTES


@pytest.mark.parametrize("size", [0, 1, 2])
def test_small_domains_too(size: int) -> None:
    peers = Peers(domain_of(*map(peer_row, range(1, size + 1))), node_id(1))
    body = SnapshotWire().encode(snapshot(1, peers=peers))
    assert inflated(body.to_gzip()) == body.to_bytes()
    assert body.size == len(body.to_bytes())


def test_bytes_that_were_not_compressed_are_not_replaced_by_those_that_were() -> None:
    """The bytes that leave are those that were validated, in either coding."""
    whole = peers_block(encode_peers(DOMAIN_PEERS), node_id(1))
    other = replace(whole, source=b"[]", cut=None)
    body = SnapshotBody((other, Block("policy", b"null")))
    assert inflated(body.to_gzip()) == body.to_bytes() == b'{"peers":[],"policy":null}'


@pytest.mark.parametrize(
    "numbers",
    [
        range(1, PEERS),
        range(1, PEERS + 2),
        range(2, PEERS + 1),
        [*range(1, 150), *range(151, PEERS + 1)],
    ],
    ids=["the last less", "one more", "the first less", "one less between"],
)
def test_a_change_makes_its_own_segment_only(numbers: Sequence[int]) -> None:
    before = encode_peers(DOMAIN_PEERS)
    rows = {row.node_id: row for row in DOMAIN_PEERS.rows}
    changed = domain_of(*(rows.get(node_id(number), peer_row(number)) for number in numbers))
    after = encode_peers(changed, before)
    assert len(before.segments) > 3
    assert len(set(before.segments) - set(after.segments)) <= 2
    assert (after.array, after.digest) == (
        encode_peers(changed).array,
        encode_peers(changed).digest,
    )
    body = SnapshotBody((peers_block(after, node_id(5)),))
    assert inflated(body.to_gzip()) == body.to_bytes()
