"""The registry of Domains and Nodes: what is asked of it, what it grants, and its ports."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline
from composer.peers import PUBLIC_KEY_BYTES
from composer.reachability import ReachabilityPolicy


@dataclass(frozen=True, slots=True)
class Domain:
    """What its row says; ``mesh_cidr`` is canonical text, times are aware.

    A Domain that an operator put into the ledger by hand may lack a slug and a range. Without a
    policy of its own the service's numbers hold.
    """

    id: UUID
    name: str
    slug: str | None
    description: str | None
    region: str | None
    mesh_cidr: str | None
    created_at: datetime
    reachability: ReachabilityPolicy | None = None


# Prefix lengths, by IP version. The longest leaves room for two Nodes at least; the shortest is the
# largest private range there is (RFC 1918's 10/8) and a provider's whole IPv6 allocation.
PREFIXES = {4: range(8, 31), 6: range(32, 127)}
# No mesh can be there: this network, loopback, link-local, multicast and reserved; in IPv6 also all
# of ::/8, where IPv4 is mapped and Postgres and Python spell addresses differently.
FORBIDDEN = tuple(
    map(
        ip_network,
        (
            *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"),
            *("::/8", "fe80::/10", "ff00::/8"),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class NewDomain:
    """A Domain that somebody wants; ``mesh_cidr`` is canonical text."""

    name: str
    slug: str
    mesh_cidr: str
    description: str | None = None
    region: str | None = None
    reachability: ReachabilityPolicy | None = None

    @property
    def meaning(self) -> bytes:
        """SHA-256; the same for requests that ask for the same."""
        policy = self.reachability
        durations = () if policy is None else map(str, astuple(policy))
        named = (self.name, self.slug, self.mesh_cidr, self.description, self.region)
        return _digest(*named, *durations)


@dataclass(frozen=True, slots=True)
class NewNode:
    """A Node that wants to be in a Domain; ``public_key`` is 32 raw bytes."""

    public_key: bytes
    name: str = ""

    @property
    def meaning(self) -> bytes:
        """SHA-256; the same for requests that ask for the same."""
        return _digest(self.public_key.hex(), self.name)


@dataclass(frozen=True, slots=True)
class Created:
    """A Domain that is there now; ``is_new`` is False when an earlier request made it."""

    domain_id: UUID
    is_new: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """A Node that is there now; ``is_new`` is False when an earlier request made it.

    Both addresses are canonical text.
    """

    node_id: UUID
    mesh_ip: str
    domain_mesh_cidr: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """A Node in a list, corrupt or not; ``mesh_ip`` is canonical text."""

    id: UUID
    name: str
    mesh_ip: str | None
    created_at: datetime


def cursor_after(domain_id: UUID, node_id: UUID) -> str:
    """Where the next page of a Domain's Nodes begins, as opaque text for a URL."""
    return base64.urlsafe_b64encode(domain_id.bytes + node_id.bytes).rstrip(b"=").decode("ascii")


def position(cursor: str, domain_id: UUID) -> UUID:
    """The Node that ``cursor`` comes after. Raises ValueError where it is none of that Domain."""
    raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    if len(raw) != 32:
        raise ValueError("not of this length")
    node_id = UUID(bytes=raw[16:])
    if cursor_after(domain_id, node_id) != cursor:
        raise ValueError("of another Domain, or spelled otherwise")
    return node_id


def mesh_range(text: str) -> str:
    """``text`` itself, where it is a range that a Domain can have, in its one spelling.

    Raises ValueError: no network, host bits, another spelling, too wide, too narrow, or forbidden.
    """
    network = ip_network(text)
    # Python keeps an IPv6 zone, which is of one host's interfaces
    if "%" in text or str(network) != text:
        raise ValueError("not the canonical spelling")
    if network.prefixlen not in PREFIXES[network.version]:
        raise ValueError("too wide or too narrow")
    if any(_overlap(network, one) for one in FORBIDDEN):
        raise ValueError("no range for a mesh")
    return text


def wireguard_key(text: str) -> bytes:
    """The 32 bytes that ``text`` spells. Raises ValueError for any other text and for all zeros."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    # stray last bits: two spellings of one key
    if len(raw) != PUBLIC_KEY_BYTES or base64.b64encode(raw).decode("ascii") != text:
        raise ValueError("not 32 bytes in canonical base64")
    if not any(raw):
        raise ValueError("all zero")
    return raw


def _overlap(network: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    return network.version == other.version and network.overlaps(other)


def _digest(*parts: str | None) -> bytes:
    return hashlib.sha256(json.dumps(parts).encode("ascii")).digest()


class DomainReader(Protocol):
    """A Domain's row."""

    def read(self, domain_id: UUID, deadline: Deadline) -> Domain:
        """Raises DomainNotFound, DatastoreUnavailable."""
        ...


class DomainRegistry(Protocol):
    """Where Domains come to be and go. Each call is one transaction: done or not, never in part."""

    def create(self, wanted: NewDomain, key: str | None, deadline: Deadline) -> Created:
        """A new Domain, or the one that the same ``key`` (Idempotency-Key) made before.

        Whatever two callers do at once, no two Domains share a slug or an address. Raises
        IdempotencyKeyConflict when the key came with another wish, DomainSlugConflict,
        MeshCidrOverlap, DatastoreUnavailable.
        """
        ...

    def delete(self, domain_id: UUID, deadline: Deadline) -> None:
        """The Domain and the roles in it are gone when this returns; it may have been gone before.

        Raises DomainNotEmpty while it has Nodes, DatastoreUnavailable.
        """
        ...


class NodeRegistry(Protocol):
    """Where Nodes come to be and go. Each call is one transaction: done or not, never in part."""

    def register(
        self, domain_id: UUID, wanted: NewNode, key: str | None, deadline: Deadline
    ) -> Registered:
        """A new Node with the lowest free address of its Domain, or the one that the same ``key``
        (Idempotency-Key) or the same public key made there before.

        Free is what no Node has and none had within the hold-off. Whatever two callers do at once,
        no two Nodes get one address. Raises DomainNotFound, IdempotencyKeyConflict when the key
        came with another wish, PoolExhausted, DatastoreUnavailable.
        """
        ...

    def deregister(self, node_id: UUID, deadline: Deadline) -> None:
        """The Node and all that hangs on it are gone when this returns; it may have been before.

        Its address is held off from then on. Raises DatastoreUnavailable.
        """
        ...

    def rotate_key(self, node_id: UUID, public_key: bytes, deadline: Deadline) -> bool:
        """The Node has that key when this returns; whether it had another one before.

        Raises NodeNotFound, PublicKeyInUse when another Node of its Domain has it,
        DatastoreUnavailable.
        """
        ...


class DomainNodes(Protocol):
    """A Domain's Nodes, for people."""

    def page(
        self, domain_id: UUID, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[NodeSummary]:
        """Up to ``limit`` Nodes by id, those above ``after`` or from the first one on.

        A Domain that is not there has none. Raises DatastoreUnavailable.
        """
        ...


class OutboxRelay(Protocol):
    """Brings the relationships of ``plexsphere.outbox`` to SpiceDB.

    Any number of relays and requests may settle at once. What was brought already may be brought
    again: every operation of a row is idempotent.
    """

    def settle(self, object: str, deadline: Deadline) -> None:
        """When this returns, SpiceDB has taken every row about ``object`` (``node:<id>``,
        ``domain:<id>``) that was committed before the call, in the order of their ``seq``, and the
        object's own row, where there still is one, carries the ZedToken of that.

        Nothing waiting is no error, nor is an object that was never there. Raises AuthzUnavailable
        when SpiceDB is unreachable or too slow, DatastoreUnavailable when Postgres is; what was
        not taken then goes on waiting, for the next call or for a relay process.
        """
        ...
