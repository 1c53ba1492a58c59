"""Domain values to wire bytes, block by block, with the desired-state digest.

A Domain's peers are encoded once per revision and each Node's block is cut out of those bytes: a
pull costs nothing per peer but the copy onto the socket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID
from weakref import WeakKeyDictionary

from composer.peers import DomainPeers
from composer.snapshot import NodeStateSnapshot
from handlers.wire_values import (
    bridge_value,
    json_text,
    peer_text,
    policy_value,
    reachability_value,
    reports_value,
)

_DIGEST_VERSION = b"plexsphere desired state v1\n"


def json_bytes(value: object) -> bytes:
    """Compact UTF-8 JSON, keys as they stand (docs/design.md, Bytes on the wire)."""
    return json_text(value).encode("utf-8")


@dataclass(frozen=True, slots=True)
class Block:
    """One key of the envelope.

    ``source`` is a complete JSON text that is what validity is decided on; served is ``source``
    without its bytes from ``cut[0]`` to ``cut[1]``, one element of the array with its comma.
    ``is_cacheable``: whether the same bytes may come again, so that their validity is remembered.
    """

    name: str
    source: bytes
    cut: tuple[int, int] | None = None
    is_cacheable: bool = True

    def chunks(self) -> tuple[bytes | memoryview, ...]:
        """The served bytes, uncopied."""
        if self.cut is None:
            return (self.source,)
        view = memoryview(self.source)
        return (view[: self.cut[0]], view[self.cut[1] :])


@dataclass(frozen=True, slots=True)
class SnapshotBody:
    """A body by its blocks in wire order: a snapshot's six, or those of an answer that has some of
    them. ``digest`` is the desired state's (64 hex digits), of a snapshot alone."""

    blocks: tuple[Block, ...]
    digest: str = ""

    def to_bytes(self) -> bytes:
        """The envelope, in one copy."""
        parts: list[bytes | memoryview] = []
        for block in self.blocks:
            parts.append(b',"' if parts else b'{"')
            parts.append(block.name.encode("ascii") + b'":')
            parts.extend(block.chunks())
        parts.append(b"}")
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class EncodedPeers:
    """A whole Domain's ``peers`` array, where each Node stands in it, and its digest."""

    array: bytes
    spans: Mapping[UUID, tuple[int, int]]
    digest: bytes

    def without(self, node_id: UUID) -> Block:
        """The array without one Node, which need not be in it."""
        span = self.spans.get(node_id)
        if span is None:
            return Block("peers", self.array)
        start, end = span
        # one comma goes with the element: the one behind it, or before it when it is the last
        if self.array[end : end + 1] == b",":
            return Block("peers", self.array, (start, end + 1))
        return Block("peers", self.array, (max(1, start - 1), end))


class SnapshotWire:
    """Encodes snapshots; remembers the bytes of each DomainPeers for as long as it lives."""

    def __init__(self) -> None:
        self._encoded: WeakKeyDictionary[DomainPeers, EncodedPeers] = WeakKeyDictionary()

    def encode(self, snapshot: NodeStateSnapshot) -> SnapshotBody:
        """The body of a 200."""
        domain = self.domain(snapshot.peers.domain)
        policy = json_bytes(policy_value(snapshot.policy))
        bridge = json_bytes(bridge_value(snapshot.bridge))
        state = json_bytes(reports_value(snapshot.state))
        same = snapshot.reports is snapshot.state
        reports = state if same else json_bytes(reports_value(snapshot.reports))
        blocks = (
            domain.without(snapshot.peers.addressed_node_id),
            Block("reachability", json_bytes(reachability_value(snapshot.reachability))),
            Block("policy", policy),
            Block("bridge", bridge),
            Block("state", state),
            Block("reports", reports),
        )
        digest = desired_state_digest(
            domain.digest,
            snapshot.peers.addressed_node_id,
            snapshot.reachability.state,
            tuple(map(block_digest, (policy, bridge, state, reports))),
        )
        return SnapshotBody(blocks, digest)

    def domain(self, peers: DomainPeers) -> EncodedPeers:
        """The Domain's encoded peers, from memory when it is the same value."""
        encoded = self._encoded.get(peers)
        if encoded is None:
            encoded = encode_peers(peers)
            self._encoded[peers] = encoded
        return encoded


def encode_peers(peers: DomainPeers) -> EncodedPeers:
    """Encode every peer of a Domain and note where each one stands."""
    spans: dict[UUID, tuple[int, int]] = {}
    fragments: list[bytes] = []
    position = 1  # behind the opening bracket
    for peer in peers.peers:
        fragment = peer_text(peer).encode("utf-8")
        spans[peer.node_id] = (position, position + len(fragment))
        position += len(fragment) + 1
        fragments.append(fragment)
    array = b"[" + b",".join(fragments) + b"]"
    return EncodedPeers(array, spans, hashlib.sha256(array).digest())


def peers_digest(peers: DomainPeers) -> bytes:
    """``encode_peers(peers).digest``, for somebody who needs no bytes."""
    return hashlib.sha256(f"[{','.join(map(peer_text, peers.peers))}]".encode()).digest()


def block_digest(block: bytes) -> bytes:
    """What a block adds to the desired-state digest: 32 bytes."""
    return hashlib.sha256(block).digest()


def desired_state_digest(
    domain_digest: bytes,
    addressed_node_id: UUID,
    reachability_state: str,
    block_digests: tuple[bytes, ...],
) -> str:
    """A hash of parts: everything but reachability's two timestamps, at no cost per peer.

    ``block_digests`` are those of policy, bridge, state and reports.
    """
    verdict = _verdict_digest(reachability_state)
    parts = (_DIGEST_VERSION, domain_digest, addressed_node_id.bytes, verdict, *block_digests)
    return hashlib.sha256(b"".join(parts)).hexdigest()


@lru_cache(8)
def _verdict_digest(state: str) -> bytes:
    return block_digest(state.encode("utf-8"))
