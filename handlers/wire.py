"""Turns snapshots into bytes, block by block, and computes the desired-state digest.

A Domain's peers are encoded once per revision, and every Node's ``peers`` block is a part of those
bytes. So a pull costs no time per peer except the copy of the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary, WeakValueDictionary

from composer.memory import Memory
from composer.peers import DomainPeers
from composer.snapshot import NodeStateSnapshot
from handlers.compression import Deflated, DeflatedText, deflated_text, gzip_member
from handlers.wire_values import (
    bridge_value,
    json_text,
    peer_text,
    policy_value,
    reachability_value,
    reports_value,
)

# Blocks of Nodes' own that a process keeps, with the values they came from.
OWN_BLOCKS_BYTES = 8 * 1024 * 1024
# A smaller body fits into the first window of a connection: compressing it saves no round trip.
GZIP_LEAST_BYTES = 14_000
# Peers of a segment on average: the segment of the Node itself is sent uncompressed.
SEGMENT_PEERS = 64
_DIGEST_VERSION = b"plexsphere desired state v1\n"

T = TypeVar("T")


def json_bytes(value: object) -> bytes:
    """Compact UTF-8 JSON with keys in their order (docs/design.md, Bytes on the wire)."""
    return json_text(value).encode("utf-8")


@dataclass(frozen=True, slots=True)
class Block:
    """One key of a body.

    ``source`` is a complete JSON text, which is validated. The served bytes are ``source`` without
    the bytes from ``cut[0]`` to ``cut[1]``: one element of an array, with its comma.
    ``is_cacheable``: whether the same bytes may come again, so that their validity is remembered.
    """

    name: str
    source: bytes
    cut: tuple[int, int] | None = None
    is_cacheable: bool = True
    deflated: DeflatedText | None = None

    def chunks(self) -> tuple[bytes | memoryview, ...]:
        """The served bytes, without a copy."""
        if self.cut is None:
            return (self.source,)
        view = memoryview(self.source)
        return (view[: self.cut[0]], view[self.cut[1] :])


@dataclass(frozen=True, slots=True)
class SnapshotBody:
    """The blocks of a body in wire order: of a snapshot, or of an answer with ``peers``.

    ``digest`` is the desired-state digest (64 hex digits); empty where it is not a snapshot.
    """

    blocks: tuple[Block, ...]
    digest: str = ""

    @property
    def size(self) -> int:
        """Bytes of ``to_bytes``."""
        size = 1
        for block in self.blocks:
            size += len(block.name) + 4 + len(block.source)  # quotes, colon, comma or brace
            if block.cut is not None:
                size -= block.cut[1] - block.cut[0]
        return size

    def to_gzip(self) -> bytes:
        """A gzip member that inflates to exactly ``to_bytes``."""
        parts: list[Deflated | bytes] = []
        plain: list[bytes | memoryview] = []  # what stands between compressed blocks
        for block in self.blocks:
            plain.append(b',"' if parts or plain else b'{"')
            plain.append(block.name.encode("ascii") + b'":')
            # Only what was compressed from the very bytes that are validated.
            if block.deflated is None or block.deflated.plain is not block.source:
                plain.extend(block.chunks())
            else:
                parts += (b"".join(plain), *block.deflated.parts(block.cut))
                plain = []
        parts.append(b"".join([*plain, b"}"]))
        return gzip_member(parts)

    def to_bytes(self) -> bytes:
        """The whole body."""
        parts: list[bytes | memoryview] = []
        for block in self.blocks:
            parts += (b',"' if parts else b'{"', block.name.encode("ascii"), b'":')
            parts += block.chunks()
        parts.append(b"}")
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class OwnBlock:
    """A block that belongs to one Node, with what it adds to the desired-state digest."""

    text: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class EncodedPeers:
    """The ``peers`` array of a Domain, the start and end of each Node in it, and its digest."""

    array: bytes
    spans: Mapping[UUID, tuple[int, int]]
    digest: bytes
    deflated: DeflatedText | None = None
    segments: Mapping[bytes, Deflated] = field(default_factory=dict)

    def without(self, node_id: UUID) -> Block:
        """The array without a Node, if the Node is in it."""
        span = self.spans.get(node_id)
        if span is None:
            return Block("peers", self.array, deflated=self.deflated)
        start, end = span
        # Cut one comma too: the comma after the element, or before it where it is the last.
        if self.array[end : end + 1] == b",":
            return Block("peers", self.array, (start, end + 1), deflated=self.deflated)
        return Block("peers", self.array, (max(1, start - 1), end), deflated=self.deflated)


class SnapshotWire:
    """Encodes snapshots. The bytes of a DomainPeers are kept as long as that value exists."""

    def __init__(self) -> None:
        self._own_blocks: Memory[OwnBlock] = Memory(OWN_BLOCKS_BYTES)
        self._encoded: WeakKeyDictionary[DomainPeers, EncodedPeers] = WeakKeyDictionary()
        self._latest: WeakValueDictionary[UUID, DomainPeers] = WeakValueDictionary()

    def encode(self, snapshot: NodeStateSnapshot) -> SnapshotBody:
        """The body of a 200."""
        domain = self.domain(snapshot.peers.domain)
        policy = self._own(policy_value, snapshot.policy)
        bridge = self._own(bridge_value, snapshot.bridge)
        state = self._own(reports_value, snapshot.state)
        reports = self._own(reports_value, snapshot.reports)
        blocks = (
            domain.without(snapshot.peers.addressed_node_id),
            Block("reachability", json_bytes(reachability_value(snapshot.reachability))),
            Block("policy", policy.text),
            Block("bridge", bridge.text),
            Block("state", state.text),
            Block("reports", reports.text),
        )
        digest = desired_state_digest(
            domain.digest,
            snapshot.peers.addressed_node_id,
            snapshot.reachability.state,
            (policy.digest, bridge.digest, state.digest, reports.digest),
        )
        return SnapshotBody(blocks, digest)

    def _own(self, value_of: Callable[[T], object], value: T) -> OwnBlock:
        """A block of the Node's own, from memory where the composer gave the same value again."""
        found = self._own_blocks.get((value_of, id(value)))
        if found is None:
            text = json_bytes(value_of(value))
            found = OwnBlock(text, block_digest(text))
            key = (value_of, id(value))
            self._own_blocks.put(key, found, 2 * len(text), source=value)
        return found

    def domain(self, peers: DomainPeers) -> EncodedPeers:
        """The encoded peers of a Domain, cached by identity."""
        encoded = self._encoded.get(peers)
        if encoded is None:
            latest = self._latest.get(peers.domain_id)
            before = None if latest is None else self._encoded.get(latest)
            encoded = encode_peers(peers, before.segments if before else {})
            self._encoded[peers] = encoded
            self._latest[peers.domain_id] = peers
        return encoded


def encode_peers(
    peers: DomainPeers, known: Mapping[bytes, Deflated] = MappingProxyType({})
) -> EncodedPeers:
    """Encode every peer of a Domain and note where each one stands.

    ``known`` are compressed segments of the Domain's array before.
    """
    spans: dict[UUID, tuple[int, int]] = {}
    fragments: list[bytes] = []
    ends: list[int] = []
    position = 1  # behind the opening bracket
    for peer in peers.peers:
        fragment = peer_text(peer).encode("utf-8")
        spans[peer.node_id] = (position, position + len(fragment))
        position += len(fragment) + 1
        fragments.append(fragment)
        # By the id, and not by a count: a new peer must not move the ends of all segments.
        if peer.node_id.int % SEGMENT_PEERS == 0:
            ends.append(position)
    array = b"[" + b",".join(fragments) + b"]"
    digest = hashlib.sha256(array).digest()
    if len(array) < GZIP_LEAST_BYTES:
        return EncodedPeers(array, spans, digest)
    ends = [end for end in ends if end < len(array)] + [len(array)]
    return EncodedPeers(array, spans, digest, *deflated_text(array, ends, known))


def peers_digest(peers: DomainPeers) -> bytes:
    """``encode_peers(peers).digest``, without the rest."""
    return hashlib.sha256(f"[{','.join(map(peer_text, peers.peers))}]".encode()).digest()


def block_digest(block: bytes) -> bytes:
    """The 32 bytes of a block in the desired-state digest."""
    return hashlib.sha256(block).digest()


def desired_state_digest(
    domain_digest: bytes,
    addressed_node_id: UUID,
    reachability_state: str,
    block_digests: tuple[bytes, ...],
) -> str:
    """The hash of all parts of the desired state, at no cost per peer.

    ``block_digests`` are those of policy, bridge, state and reports.
    """
    state_digest = _state_digest(reachability_state)
    parts = (_DIGEST_VERSION, domain_digest, addressed_node_id.bytes, state_digest, *block_digests)
    return hashlib.sha256(b"".join(parts)).hexdigest()


@lru_cache(8)
def _state_digest(state: str) -> bytes:
    return block_digest(state.encode("utf-8"))
