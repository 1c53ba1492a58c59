"""The bytes of a Domain's ``peers``: made once a revision, of segments that mostly stay the same.

Every Node's block is the same array without itself, so a pull costs no time per peer except the
copy of the bytes. After a change only the segment of the changed peer is encoded, compressed and
validated.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from uuid import UUID

from composer.peers import DomainPeers, Peer
from handlers.compression import Deflated, DeflatedText, deflated, deflated_text
from handlers.wire_values import peer_text

# A smaller body fits into the first window of a connection: compressing it saves no round trip.
GZIP_LEAST_BYTES = 14_000
# Peers of a segment on average: the segment of the Node itself is sent uncompressed.
SEGMENT_PEERS = 64
_OPENING = deflated(b"[")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class JoinedArray:
    """A JSON array and the texts that it was joined of, with commas: each has whole elements."""

    texts: tuple[bytes, ...]

    def joined(self) -> bytes:
        """The array."""
        return b"[" + b",".join(self.texts) + b"]"


@dataclass(slots=True, eq=False)
class Segment:
    """Peers that follow each other; ``spans`` are the start and end of each in ``text``.

    ``behind`` is what follows it in the array: a comma, or the closing bracket.
    """

    peers: tuple[Peer, ...]
    text: bytes
    behind: bytes
    spans: Mapping[UUID, tuple[int, int]]
    _deflated: Deflated | None = None

    def deflated(self) -> Deflated:
        """Text and what is behind, compressed at the first call."""
        if self._deflated is None:
            self._deflated = deflated(self.text + self.behind)
        return self._deflated


@dataclass(frozen=True, slots=True)
class EncodedPeers:
    """The ``peers`` array of a Domain and its digest.

    ``starts`` are where each segment begins in the array. ``deflated`` and ``joined`` are None
    where the array is small.
    """

    array: bytes
    digest: bytes
    segments: tuple[Segment, ...] = ()
    starts: tuple[int, ...] = ()
    deflated: DeflatedText | None = None
    joined: JoinedArray | None = None

    def cut(self, node_id: UUID) -> tuple[int, int] | None:
        """The range to leave out of the array for a Node; None where the Node is not in it."""
        number = bisect_right(self.segments, node_id.int, key=_first_id) - 1
        span = self.segments[number].spans.get(node_id) if number >= 0 else None
        if span is None:
            return None
        start, end = self.starts[number] + span[0], self.starts[number] + span[1]
        # Cut one comma too: the comma after the element, or before it where it is the last.
        if self.array[end : end + 1] == b",":
            return start, end + 1
        return max(1, start - 1), end


def encode_peers(peers: DomainPeers, before: EncodedPeers | None = None) -> EncodedPeers:
    """Encode every peer of a Domain; ``before`` is the Domain's array before."""
    known = {segment.peers[0].node_id: segment for segment in before.segments} if before else {}
    segments = tuple(_segments(peers.peers, known))
    joined = JoinedArray(tuple(segment.text for segment in segments))
    array = joined.joined()
    digest = hashlib.sha256(array).digest()
    # behind the opening bracket; behind each segment there is a comma
    ends = list(accumulate((len(segment.text) + 1 for segment in segments), initial=1))
    starts = tuple(ends[:-1])
    if len(array) < GZIP_LEAST_BYTES:
        return EncodedPeers(array=array, digest=digest, segments=segments, starts=starts)
    parts = (_OPENING, *(segment.deflated() for segment in segments))
    text = deflated_text(array, ends, parts)
    return EncodedPeers(
        array=array, digest=digest, segments=segments, starts=starts, deflated=text, joined=joined
    )


def peers_digest(peers: DomainPeers) -> bytes:
    """``encode_peers(peers).digest``, without the rest."""
    return hashlib.sha256(f"[{','.join(map(peer_text, peers.peers))}]".encode()).digest()


def _first_id(segment: Segment) -> int:
    return segment.peers[0].node_id.int


def _segments(peers: tuple[Peer, ...], known: Mapping[UUID, Segment]) -> Iterator[Segment]:
    """``known`` are segments of before, by their first peer."""
    groups = list(_groups(peers))
    for number, group in enumerate(groups, 1):
        behind = b"]" if number == len(groups) else b","
        same = known.get(group[0].node_id)
        if same is not None and same.behind == behind and same.peers == group:
            yield same
        else:
            yield _segment(group, behind)


def _groups(peers: tuple[Peer, ...]) -> Iterator[tuple[Peer, ...]]:
    group: list[Peer] = []
    for peer in peers:
        group.append(peer)
        # By the id, and not by a count: a new peer must not move the ends of all segments.
        if peer.node_id.int % SEGMENT_PEERS == 0:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)


def _segment(peers: tuple[Peer, ...], behind: bytes) -> Segment:
    spans: dict[UUID, tuple[int, int]] = {}
    fragments: list[bytes] = []
    position = 0
    for peer in peers:
        fragment = peer_text(peer).encode("utf-8")
        spans[peer.node_id] = (position, position + len(fragment))
        position += len(fragment) + 1
        fragments.append(fragment)
    return Segment(peers=peers, text=b",".join(fragments), behind=behind, spans=spans)
