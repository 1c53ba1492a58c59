"""Turns snapshots into bytes, block by block, and computes the desired-state digest.

A Domain's peers are encoded once per revision, and every Node's ``peers`` block is a part of those
bytes. So a pull costs no time per peer except the copy of the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from composer.memory import Memory
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

# Blocks of Nodes' own that a process keeps, with the values they came from.
OWN_BLOCKS_BYTES = 8 * 1024 * 1024
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

    def to_bytes(self) -> bytes:
        """The whole body."""
        parts: list[bytes | memoryview] = []
        for block in self.blocks:
            parts.append(b',"' if parts else b'{"')
            parts.append(block.name.encode("ascii") + b'":')
            parts.extend(block.chunks())
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

    def without(self, node_id: UUID) -> Block:
        """The array without a Node, if the Node is in it."""
        span = self.spans.get(node_id)
        if span is None:
            return Block("peers", self.array)
        start, end = span
        # Cut one comma too: the comma after the element, or before it where it is the last.
        if self.array[end : end + 1] == b",":
            return Block("peers", self.array, (start, end + 1))
        return Block("peers", self.array, (max(1, start - 1), end))


class SnapshotWire:
    """Encodes snapshots. The bytes of a DomainPeers are kept as long as that value exists."""

    def __init__(self) -> None:
        self._own_blocks: Memory[OwnBlock] = Memory(OWN_BLOCKS_BYTES)
        self._encoded: WeakKeyDictionary[DomainPeers, EncodedPeers] = WeakKeyDictionary()

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
            encoded = encode_peers(peers)
            self._encoded[peers] = encoded
        return encoded


def encode_peers(peers: DomainPeers) -> EncodedPeers:
    """Encode every peer of a Domain and note its start and end."""
    spans: dict[UUID, tuple[int, int]] = {}
    fragments: list[bytes] = []
    position = 1  # after the opening bracket
    for peer in peers.peers:
        fragment = peer_text(peer).encode("utf-8")
        spans[peer.node_id] = (position, position + len(fragment))
        position += len(fragment) + 1
        fragments.append(fragment)
    array = b"[" + b",".join(fragments) + b"]"
    return EncodedPeers(array, spans, hashlib.sha256(array).digest())


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
