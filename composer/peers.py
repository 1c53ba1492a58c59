"""The ``peers`` block: which Domain Peers an Addressed Node may program."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, overload
from uuid import UUID

from composer.identity import NIL

PUBLIC_KEY_BYTES = 32
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# Exactly the addresses that ipaddress takes as IPv4, which takes ten times as long to say so.
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One Node of a Domain as the ledger holds it, corrupt or not: a PeerSource drops nothing.

    ``mesh_ip`` is canonical text (``host()`` of ``inet``); ``relay_host`` and ``relay_port`` are
    the enabled relay assigned to the Node, both None when there is none.
    """

    node_id: UUID
    mesh_ip: str | None
    public_key: bytes | None
    relay_host: str | None = None
    relay_port: int | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """What plexd needs to program one WireGuard tunnel; ``public_key`` is 32 raw bytes."""

    node_id: UUID
    mesh_ip: str
    public_key: bytes
    fallback_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class DroppedPeer:
    """A row that breaks a per-peer invariant; ``outcome`` names the invariant in logs."""

    peer_node_id: UUID
    outcome: str


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class DomainPeers:
    """All servable peers of one Domain at one revision, ascending by ``node_id``.

    Shared by every snapshot of the Domain until the ledger names another revision, so what is
    derived from it (bytes, digest, validity) is derived once. Compared by identity.
    """

    domain_id: UUID
    revision: UUID
    peers: tuple[Peer, ...]
    dropped: tuple[DroppedPeer, ...]


@dataclass(frozen=True, slots=True)
class Peers(Sequence[Peer]):
    """The peers of one Addressed Node: its Domain's, without itself."""

    domain: DomainPeers
    addressed_node_id: UUID

    def _others(self) -> Iterator[Peer]:
        return (peer for peer in self.domain.peers if peer.node_id != self.addressed_node_id)

    def __iter__(self) -> Iterator[Peer]:
        return self._others()

    def __len__(self) -> int:
        return sum(1 for _ in self._others())

    @overload
    def __getitem__(self, index: int) -> Peer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Peer, ...]: ...
    def __getitem__(self, index: int | slice) -> Peer | tuple[Peer, ...]:
        return tuple(self._others())[index]

    def dropped(self) -> tuple[DroppedPeer, ...]:
        """The dropped rows that would have been this Node's peers."""
        return tuple(d for d in self.domain.dropped if d.peer_node_id != self.addressed_node_id)


def domain_peers(domain_id: UUID, revision: UUID, rows: Sequence[PeerRow]) -> DomainPeers:
    """Keep the rows that hold every invariant, ordered by ``node_id``; name the others."""
    kept: list[Peer] = []
    dropped: list[DroppedPeer] = []
    for row in sorted(rows, key=lambda row: row.node_id.bytes):
        outcome = broken_invariant(row)
        if outcome is None:
            kept.append(_peer(row))
        else:
            dropped.append(DroppedPeer(row.node_id, outcome))
    return DomainPeers(domain_id, revision, tuple(kept), tuple(dropped))


def broken_invariant(row: PeerRow) -> str | None:
    """The first invariant that the row breaks (docs/design.md, The envelope), or None."""
    if row.node_id == NIL:
        return "invalid_node_id"
    if not _is_usable_address(row.mesh_ip):
        return "invalid_mesh_ip"
    if not row.public_key:
        return "empty_public_key"
    if len(row.public_key) != PUBLIC_KEY_BYTES:
        return "malformed_public_key"
    return None


@lru_cache(maxsize=131_072)  # a Domain's addresses stay when its revision does not
def _is_usable_address(text: str | None) -> bool:
    if not text:
        return False
    if _IPV4.fullmatch(text):
        return text != "0.0.0.0"
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False


def _peer(row: PeerRow) -> Peer:
    assert row.mesh_ip is not None and row.public_key is not None  # broken_invariant said so
    return Peer(row.node_id, row.mesh_ip, bytes(row.public_key), _fallback_endpoint(row))


def _fallback_endpoint(row: PeerRow) -> str | None:
    """``host:port`` of the assigned relay, an IPv6 host in brackets."""
    if row.relay_host is None or row.relay_port is None:
        return None
    host = f"[{row.relay_host}]" if ":" in row.relay_host else row.relay_host
    return f"{host}:{row.relay_port}"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PeerTable:
    """Every row of a Domain at one revision, the Addressed Node's and corrupt ones included.

    While the ledger's revision stays the same, a source may hand out the very same object again.
    """

    domain_id: UUID
    revision: UUID
    rows: tuple[PeerRow, ...]


class PeerSource(Protocol):
    """The Domain's Nodes. MUST NOT drop a row: invariants are the composer's."""

    def peers(self) -> PeerTable: ...
