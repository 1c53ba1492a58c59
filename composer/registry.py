"""What is asked of the registry of Domains and Nodes, and which of it can be granted at all."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import astuple, dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network
from uuid import UUID

from composer.peers import PUBLIC_KEY_BYTES
from composer.reachability_policy import ReachabilityPolicy

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
