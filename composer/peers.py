"""The ``peers`` block: the Domain Peers that an Addressed Node connects to."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Protocol, overload
from uuid import UUID

from composer.identity import NIL

PUBLIC_KEY_BYTES = 32
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
# As by the bytes, and four times as fast.
_BY_ID = attrgetter("node_id.int")
# Exactly the texts that ``ipaddress`` accepts as IPv4, at a tenth of its time.
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One Node of a Domain as the ledger has it, corrupt or not.

    ``mesh_ip`` is canonical text (``host()`` of ``inet``). ``relay_host`` and ``relay_port`` are
    the enabled relay assigned to the Node, or both None.
    """

    node_id: UUID
    mesh_ip: str | None
    public_key: bytes | None
    relay_host: str | None = None
    relay_port: int | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """Everything that an agent needs for one WireGuard tunnel; ``public_key`` is 32 raw bytes."""

    node_id: UUID
    mesh_ip: str
    public_key: bytes
    fallback_endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class DroppedPeer:
    """A row that breaks an invariant of peers; ``outcome`` names the invariant in logs."""

    peer_node_id: UUID
    outcome: str


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class DomainPeers:
    """All valid peers of one Domain at one revision, ascending by ``node_id``.

    Every snapshot of the Domain at that revision shares this value, so its bytes, digest and
    validity are computed once. It is compared by identity. ``made`` has the Peer or
    DroppedPeer of each row, by ``id(row)``; ``rows`` keeps the rows alive.
    """

    domain_id: UUID
    revision: UUID
    peers: tuple[Peer, ...]
    dropped: tuple[DroppedPeer, ...]
    rows: tuple[PeerRow, ...] = field(default=(), repr=False)
    made: Mapping[int, Peer | DroppedPeer] = field(default_factory=dict, repr=False)


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
        """The dropped rows without the Addressed Node's own."""
        return tuple(
            drop for drop in self.domain.dropped if drop.peer_node_id != self.addressed_node_id
        )


def domain_peers(
    domain_id: UUID, revision: UUID, rows: Sequence[PeerRow], before: DomainPeers | None = None
) -> DomainPeers:
    """Separate the valid rows, ordered by ``node_id``, from the rows that break an invariant.

    ``before`` are the Domain's peers at an earlier revision: a row object that they already have is
    not converted again.
    """
    known = before.made if before else {}
    ordered = sorted(rows, key=_BY_ID)
    found = [known.get(id(row)) or _made(row) for row in ordered]
    return DomainPeers(
        domain_id=domain_id,
        revision=revision,
        peers=tuple([peer for peer in found if type(peer) is Peer]),
        dropped=tuple([drop for drop in found if type(drop) is DroppedPeer]),
        rows=tuple(ordered),
        made=dict(zip(map(id, ordered), found, strict=True)),
    )


def _made(row: PeerRow) -> Peer | DroppedPeer:
    outcome = broken_invariant(row)
    return _peer(row) if outcome is None else DroppedPeer(row.node_id, outcome)


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


def valid_peer(row: PeerRow) -> Peer | None:
    """The peer of a row; None where the row breaks an invariant."""
    found = _made(row)
    return found if isinstance(found, Peer) else None


@lru_cache(maxsize=131_072)  # most addresses of a Domain stay from one revision to the next
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
    assert row.mesh_ip is not None and row.public_key is not None  # see broken_invariant
    return Peer(
        node_id=row.node_id,
        mesh_ip=row.mesh_ip,
        public_key=bytes(row.public_key),
        fallback_endpoint=_fallback_endpoint(row),
    )


def _fallback_endpoint(row: PeerRow) -> str | None:
    """``host:port`` of the assigned relay, an IPv6 host in brackets."""
    if row.relay_host is None or row.relay_port is None:
        return None
    host = f"[{row.relay_host}]" if ":" in row.relay_host else row.relay_host
    return f"{host}:{row.relay_port}"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PeerTable:
    """Every row of a Domain at one revision, with corrupt rows and the Addressed Node's own.

    A source may return the same object again while the ledger's revision stays the same.
    """

    domain_id: UUID
    revision: UUID
    rows: tuple[PeerRow, ...]


class PeerSource(Protocol):
    """Yields the Domain's Nodes. It must not drop a row, because the composer checks invariants."""

    def peers(self) -> PeerTable: ...
