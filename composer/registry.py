"""The registry of Domains and Nodes: its values, rules and ports."""

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

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.identity import VisibleDomains
from composer.peers import PUBLIC_KEY_BYTES
from composer.reachability import DEFAULT_POLICY, ReachabilityPolicy

# A Domain never has more Nodes: an agent reads 10 MiB of an inflated body, and the largest peer of
# the ledger has 444 bytes.
MOST_NODES = 20_000


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """The numbers of the objects in a Domain. Only Nodes exist in this release."""

    nodes: int = 0
    projects: int = 0
    groups: int = 0
    identities: int = 0
    idp_bindings: int = 0


@dataclass(frozen=True, slots=True)
class Domain:
    """A Domain's row; ``mesh_cidr`` is canonical text, times are aware.

    A Domain that an operator inserted by hand may have no slug and no range. ``reachability`` is
    the policy in force, the service's default where the Domain has none.
    """

    id: UUID
    name: str
    slug: str | None
    description: str | None
    region: str | None
    mesh_cidr: str | None
    created_at: datetime
    updated_at: datetime
    reachability: ReachabilityPolicy = DEFAULT_POLICY
    child_counts: ChildCounts = ChildCounts()


@dataclass(frozen=True, slots=True)
class DomainPage:
    """Some Domains of a list by id, and the cursor of the next page where there is one."""

    items: tuple[Domain, ...]
    next_cursor: str | None = None


# By IP version. The longest prefix leaves room for two Nodes. The shortest is the largest private
# range (RFC 1918's 10/8), and a provider's whole IPv6 allocation.
PREFIX_LENGTHS = {4: range(8, 31), 6: range(32, 127)}
# This network, loopback, link-local, multicast and reserved. In IPv6 also ::/8, which has mapped
# IPv4 addresses that Postgres and Python write differently.
FORBIDDEN_RANGES = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "224.0.0.0/3",
            "::/8",
            "fe80::/10",
            "ff00::/8",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class NewDomain:
    """A Domain to create; ``mesh_cidr`` is canonical text."""

    name: str
    slug: str
    mesh_cidr: str
    description: str | None = None
    region: str | None = None
    reachability: ReachabilityPolicy | None = None

    @property
    def request_hash(self) -> bytes:
        """SHA-256; the same for requests that ask for the same."""
        policy = self.reachability
        durations = () if policy is None else map(str, astuple(policy))
        texts = (self.name, self.slug, self.mesh_cidr, self.description, self.region)
        return _digest(*texts, *durations)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainChange:
    """New values of a Domain's row; None keeps the value.

    ``sets_reachability``: ``reachability`` is the new policy, and None means the default policy.
    """

    name: str | None = None
    description: str | None = None
    region: str | None = None
    reachability: ReachabilityPolicy | None = None
    sets_reachability: bool = False


@dataclass(frozen=True, slots=True)
class NewNode:
    """A Node to register; ``public_key`` is 32 raw bytes."""

    public_key: bytes
    name: str = ""

    def request_hash(self, subject: str) -> bytes:
        """SHA-256; equal for requests of one subject with equal content.

        The answer has credentials of the Node, so nobody else's request is the same.
        """
        return _digest(subject, self.public_key.hex(), self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A request for a Node: by whom, under which Idempotency-Key, and the digest of the secret key
    that its answer shows."""

    wanted: NewNode
    subject: str
    idempotency_key: str | None
    secret_key_digest: bytes

    @property
    def request_hash(self) -> bytes:
        """SHA-256; equal for requests of one subject with equal content."""
        return self.wanted.request_hash(self.subject)


@dataclass(frozen=True, slots=True)
class CreatedDomain:
    """The result of a creation; ``is_new`` is False where an earlier request made the Domain."""

    domain_id: UUID
    is_new: bool


@dataclass(frozen=True, slots=True)
class RegisteredNode:
    """The result of a registration; ``is_new`` is False where an earlier request made the Node.

    Both addresses are canonical text. ``tokens_not_before`` is the Node's.
    """

    node_id: UUID
    mesh_ip: str
    domain_mesh_cidr: str
    is_new: bool
    tokens_not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """A Node in a list, corrupt or not; ``mesh_ip`` is canonical text."""

    id: UUID
    domain_id: UUID
    name: str
    mesh_ip: str | None
    created_at: datetime


# Cursors of the list of all Nodes are bound to it. No Domain has this id.
EVERY_DOMAIN = UUID(int=2**128 - 1)


def node_cursor(domain_id: UUID, node_id: UUID) -> str:
    """The opaque cursor of the Nodes after ``node_id`` in a list of the Domain's Nodes."""
    return base64.urlsafe_b64encode(domain_id.bytes + node_id.bytes).rstrip(b"=").decode("ascii")


def node_of_cursor(cursor: str, domain_id: UUID) -> UUID:
    """The Node of a cursor. Raises ValueError where ``cursor`` is not one of that Domain."""
    raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    if len(raw) != 32:
        raise ValueError("wrong length")
    node_id = UUID(bytes=raw[16:])
    if node_cursor(domain_id, node_id) != cursor:
        raise ValueError("of another Domain, or not canonical")
    return node_id


def mesh_range(text: str) -> str:
    """Return ``text`` if it is a range that a Domain may have, in canonical form.

    Raises ValueError: not a network, host bits, not canonical, too wide, too narrow, or forbidden.
    """
    network = ip_network(text)
    # Python keeps an IPv6 zone, which belongs to the interfaces of one host.
    if "%" in text or str(network) != text:
        raise ValueError("not canonical")
    if network.prefixlen not in PREFIX_LENGTHS[network.version]:
        raise ValueError("too wide or too narrow")
    if any(_overlap(network, forbidden) for forbidden in FORBIDDEN_RANGES):
        raise ValueError("not a range for a mesh")
    return text


def wireguard_key(text: str) -> bytes:
    """The 32 bytes of a canonical base64 text. Raises ValueError for other texts and all zeros."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    # Unused last bits would allow two texts of one key.
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
    """Reads a Domain's row."""

    def read(self, domain_id: UUID, deadline: Deadline) -> Domain:
        """Raises DomainNotFound, DatastoreUnavailable."""
        ...

    def page(
        self, visible: VisibleDomains, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[Domain]:
        """Up to ``limit`` of the visible Domains by id, those above ``after`` or from the first.

        Raises DatastoreUnavailable.
        """
        ...


class DomainRegistry(Protocol):
    """Creates, changes and deletes Domains. Each call is one transaction with its audit row."""

    def create(
        self, domain: NewDomain, key: str | None, write: AuditedWrite, deadline: Deadline
    ) -> CreatedDomain:
        """Create a Domain, or find the Domain that the same ``key`` (Idempotency-Key) created.

        No two Domains share a slug or an address, also with concurrent callers. Raises
        IdempotencyKeyConflict where the key came with a different request, DomainSlugConflict,
        MeshCidrOverlap, DatastoreUnavailable.
        """
        ...

    def update(
        self, domain_id: UUID, change: DomainChange, write: AuditedWrite, deadline: Deadline
    ) -> None:
        """Change a Domain's row. ``updated_at`` changes only where a value does.

        Raises DomainNotFound, DatastoreUnavailable.
        """
        ...

    def delete(self, domain_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """Delete a Domain and the roles in it, if it exists.

        Raises DomainNotEmpty while it has Nodes, DatastoreUnavailable.
        """
        ...


class NodeRegistry(Protocol):
    """Registers and deregisters Nodes. Each call is one transaction, its audit row included."""

    def register(
        self,
        domain_id: UUID,
        registration: Registration,
        write: AuditedWrite,
        deadline: Deadline,
    ) -> RegisteredNode:
        """Register a Node with the lowest free address of its Domain, or find the Node that the
        same request made there before: the same subject, Idempotency-Key and body.

        Either way the Node then has the registration's secret key and no other. A repeated request
        also ends the tokens issued before it: they may be in the hands of the lost answer.
        An address is free if no Node has it or had it within the hold-off. No two Nodes get the
        same address, also with concurrent callers. Raises DomainNotFound, IdempotencyKeyConflict
        where the key came with a different request, PublicKeyRegistered, NodeQuotaExceeded,
        PoolExhausted, DatastoreUnavailable.
        """
        ...

    def deregister(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """Delete a Node and its rows, if it exists. The hold-off of its address begins.

        Raises DatastoreUnavailable.
        """
        ...

    def rotate_key(
        self, node_id: UUID, public_key: bytes, write: AuditedWrite, deadline: Deadline
    ) -> bool:
        """Set the Node's public key. Returns whether it had another key before.

        Raises NodeNotFound, PublicKeyInUse where another Node of the Domain has the key,
        DatastoreUnavailable.
        """
        ...


class DomainNodes(Protocol):
    """Lists the Nodes of Domains."""

    def page(
        self, visible: VisibleDomains, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[NodeSummary]:
        """Up to ``limit`` Nodes of these Domains by id, above ``after`` or from the first.

        An unknown Domain has no Nodes. Raises DatastoreUnavailable.
        """
        ...


class OutboxRelay(Protocol):
    """Writes the relationships of ``plexsphere.outbox`` to SpiceDB.

    Concurrent callers are safe: every operation of a row is idempotent and may be written twice.
    """

    def deliver(self, object: str, deadline: Deadline) -> None:
        """Write the rows about ``object`` (``node:<id>``, ``domain:<id>``) in the order of ``seq``.

        These are all rows that were committed before the call. The object's own row then has the
        ZedToken of the last write. An unknown object, or an object without rows, is no error.
        Raises AuthzUnavailable where SpiceDB is unreachable or too slow, DatastoreUnavailable where
        Postgres is. Rows that were not written wait for the next call or for the outbox relay.
        """
        ...
