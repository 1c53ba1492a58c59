"""Nodes on Postgres: the look-up of the addressed Node, the list of a Domain, the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import (
    ComposerError,
    CorruptLedger,
    DomainNotFound,
    IdempotencyKeyConflict,
    NodeNotFound,
    PoolExhausted,
    PublicKeyInUse,
)
from composer.identity import NIL, AddressedNode
from composer.registry import NewNode, NodeSummary, RegisteredNode
from db.clock import TimeOffset, no_offset
from db.connections import ReadSession, Sessions, WriteSession
from db.ledger import PostgresLedger
from db.statements import Prepared

NODE_BY_ID = Prepared("node_by_id")
DOMAIN_NODES = Prepared("domain_nodes")
REGISTER_NODE = Prepared("register_node")
DEREGISTER_NODE = Prepared("deregister_node")
ROTATE_NODE_KEY = Prepared("rotate_node_key")

# The outcomes of the functions of migration 0009 that are refusals.
_REFUSALS: Mapping[str, type[ComposerError]] = {
    "domain_not_found": DomainNotFound,
    "node_not_found": NodeNotFound,
    "idempotency_key_conflict": IdempotencyKeyConflict,
    "pool_exhausted": PoolExhausted,
    "public_key_in_use": PublicKeyInUse,
}


class PostgresNodeRepo:
    """Implements composer.identity.NodeRepo."""

    def __init__(self, pool: Sessions[ReadSession], ledger: PostgresLedger | None = None) -> None:
        """``ledger`` is the one that the snapshots are made from."""
        self._pool = pool
        self._ledger = ledger

    def get_for_snapshot(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        """See composer.identity.NodeRepo."""
        moment = None if self._ledger is None else self._ledger.addressed(node_id, deadline)
        if moment is None:
            return self.get_by_id(node_id, deadline)
        return AddressedNode(node_id, moment.domain_id, moment.authz_token, moment)

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        """See composer.identity.NodeRepo."""
        found = self._pool.fetch(NODE_BY_ID, {"node_id": str(node_id)}, deadline)
        if not found:
            raise NodeNotFound(f"node_id={node_id}")
        domain_id, authz_token = found[0]
        return AddressedNode(node_id, UUID(domain_id), authz_token)


class PostgresDomainNodes:
    """Implements composer.registry.DomainNodes."""

    def __init__(self, pool: Sessions[ReadSession]) -> None:
        self._pool = pool

    def page(
        self, domain_id: UUID, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[NodeSummary]:
        """See composer.registry.DomainNodes."""
        arguments = {"domain_id": str(domain_id), "after": str(after or NIL), "limit": limit}
        found = self._pool.fetch(DOMAIN_NODES, arguments, deadline)
        return [NodeSummary(UUID(row[0]), *row[1:]) for row in found]


class PostgresNodeRegistry:
    """Implements composer.registry.NodeRegistry.

    A write is one function call, so one round trip and one transaction. Every write may run twice:
    the second run finds what the first one did.
    """

    def __init__(
        self, pool: Sessions[WriteSession], hold_off: timedelta, time_offset: TimeOffset = no_offset
    ) -> None:
        """A released address is not given out again before ``hold_off`` has passed."""
        self._pool = pool
        self._hold_off = hold_off
        self._time_offset = time_offset

    def register(
        self, domain_id: UUID, node: NewNode, key: str | None, deadline: Deadline
    ) -> RegisteredNode:
        """See composer.registry.NodeRegistry."""
        arguments = {
            "domain_id": str(domain_id),
            "public_key": node.public_key,
            "name": node.name,
            "request_key": key,
            "request_meaning": node.request_hash,
            "hold_off": self._hold_off,
            "time_offset": self._time_offset(),
        }
        found = self._pool.fetch(REGISTER_NODE, arguments, deadline)
        outcome, node_id, mesh_ip, mesh_cidr = found[0]
        _raise_refusal(outcome, f"domain_id={domain_id}")
        if mesh_ip is None:
            raise CorruptLedger(f"node_id={node_id} has a key and no address")
        return RegisteredNode(UUID(node_id), mesh_ip, mesh_cidr, is_new=outcome == "registered")

    def deregister(self, node_id: UUID, deadline: Deadline) -> None:
        """See composer.registry.NodeRegistry."""
        arguments = {"node_id": str(node_id), "time_offset": self._time_offset()}
        self._pool.fetch(DEREGISTER_NODE, arguments, deadline)

    def rotate_key(self, node_id: UUID, public_key: bytes, deadline: Deadline) -> bool:
        """See composer.registry.NodeRegistry."""
        arguments = {"node_id": str(node_id), "public_key": public_key}
        outcome = self._pool.fetch(ROTATE_NODE_KEY, arguments, deadline)[0][0]
        _raise_refusal(outcome, f"node_id={node_id}")
        return bool(outcome == "rotated")


def _raise_refusal(outcome: str, inside: str) -> None:
    error = _REFUSALS.get(outcome)
    if error is not None:
        raise error(inside)
