"""Turns snapshots into bytes, block by block, and computes the desired-state digest.

A Domain's peers are encoded once per revision (handlers/peers.py), a Node's own blocks once for the
same values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary, WeakValueDictionary

from composer.last_answers import KeptBlock
from composer.memory import Memory
from composer.peers import DomainPeers
from composer.snapshot import NodeStateSnapshot
from handlers.compression import Deflated, DeflatedText, Pieces, gzip_member
from handlers.peers import EncodedPeers, JoinedArray, encode_peers
from handlers.wire_values import (
    bridge_value,
    json_text,
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
class Block(KeptBlock):
    """One key of a body.

    ``source`` is a complete JSON text, which is validated. The served bytes are ``source`` without
    the bytes from ``cut[0]`` to ``cut[1]``: one element of an array, with its comma.
    ``is_cacheable``: whether the same bytes may come again, so that their validity is remembered.
    ``joined``: the parts of a large array.
    """

    is_cacheable: bool = True
    deflated: DeflatedText | None = None
    joined: JoinedArray | None = None

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

    def to_gzip(self) -> Pieces:
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
            peers_block(domain, snapshot.peers.addressed_node_id),
            Block("reachability", json_bytes(reachability_value(snapshot.reachability))),
            Block("policy", policy.text),
            Block("bridge", bridge.text),
            Block("state", state.text),
            Block("reports", reports.text),
        )
        digest = desired_state_digest(
            domain_digest=domain.digest,
            addressed_node_id=snapshot.peers.addressed_node_id,
            reachability_state=snapshot.reachability.state,
            block_digests=(policy.digest, bridge.digest, state.digest, reports.digest),
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
            encoded = encode_peers(peers, before)
            self._encoded[peers] = encoded
            self._latest[peers.domain_id] = peers
        return encoded


def peers_block(peers: EncodedPeers, node_id: UUID) -> Block:
    """The ``peers`` of a Node: its Domain's, without itself."""
    cut = peers.cut(node_id)
    return Block("peers", peers.array, cut, deflated=peers.deflated, joined=peers.joined)


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
