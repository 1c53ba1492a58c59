"""The seams of the registry, as the operations that write Domains and Nodes see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline
from composer.registry import Created, NewDomain, NewNode, NodeSummary, Registered


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
