"""Nodes on Postgres: the look-up of the addressed Node, the lists of Domains, the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.errors import (
    ComposerError,
    CorruptLedger,
    DomainNotFound,
    IdempotencyKeyConflict,
    NodeNotFound,
    NodeQuotaExceeded,
    PoolExhausted,
    PublicKeyInUse,
    PublicKeyRegistered,
)
from composer.identity import NIL, AddressedNode, VisibleDomains
from composer.position import LedgerPosition
from composer.registry import MOST_NODES, NodeSummary, RegisteredNode, Registration
from db.audit import write_arguments
from db.clock import TimeOffset, no_offset
from db.connections import ReadSession, Sessions, WriteSession
from db.ledger import PostgresLedger
from db.statements import Prepared

NODE_BY_ID = Prepared("node_by_id")
DOMAIN_NODES = Prepared("domain_nodes")
ALL_NODES = Prepared("all_nodes")
REGISTER_NODE = Prepared("register_node")
DEREGISTER_NODE = Prepared("deregister_node")
ROTATE_NODE_KEY = Prepared("rotate_node_key")

# The outcomes of the functions of migrations 0009 and 0024 that are refusals.
_REFUSALS: Mapping[str, type[ComposerError]] = {
    "domain_not_found": DomainNotFound,
    "node_not_found": NodeNotFound,
    "idempotency_key_conflict": IdempotencyKeyConflict,
    "pool_exhausted": PoolExhausted,
    "node_quota_exceeded": NodeQuotaExceeded,
    "public_key_in_use": PublicKeyInUse,
    "public_key_registered": PublicKeyRegistered,
}


class PostgresNodeRepo:
    """Implements composer.identity.NodeRepo."""

    def __init__(self, pool: Sessions[ReadSession], ledger: PostgresLedger | None = None) -> None:
        """``ledger`` is the one that the snapshots are made from."""
        self._pool = pool
        self._ledger = ledger

    def get_for_snapshot(
        self, node_id: UUID, deadline: Deadline, presented: LedgerPosition | None = None
    ) -> AddressedNode:
        """See composer.identity.NodeRepo."""
        if self._ledger is None:
            return self.get_by_id(node_id, deadline)
        if self._ledger.has_replica:
            # A replica may lag, and a revoked credential must not work again.
            node = self.get_by_id(node_id, deadline)
            moment = self._ledger.addressed(node_id, deadline, presented)
            return replace(node, moment=moment)
        moment = self._ledger.addressed(node_id, deadline, presented)
        if moment is None:
            return self.get_by_id(node_id, deadline)
        return AddressedNode(
            id=node_id,
            domain_id=moment.domain_id,
            authz_token=moment.authz_token,
            secret_key_digests=moment.secret_key_digests,
            tokens_not_before=moment.tokens_not_before,
            moment=moment,
        )

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        """See composer.identity.NodeRepo."""
        found = self._pool.fetch(NODE_BY_ID, {"node_id": str(node_id)}, deadline)
        if not found:
            raise NodeNotFound(f"node_id={node_id}")
        domain_id, authz_token, digests, tokens_not_before, joined_seq = found[0]
        return AddressedNode(
            id=node_id,
            domain_id=UUID(domain_id),
            authz_token=authz_token,
            secret_key_digests=tuple(map(bytes, digests)),
            tokens_not_before=tokens_not_before,
            joined_seq=joined_seq or 0,
        )


class PostgresDomainNodes:
    """Implements composer.registry.DomainNodes."""

    def __init__(self, pool: Sessions[ReadSession]) -> None:
        self._pool = pool

    def page(
        self, visible: VisibleDomains, after: UUID | None, limit: int, deadline: Deadline
    ) -> Sequence[NodeSummary]:
        """See composer.registry.DomainNodes."""
        arguments: dict[str, Any] = {"after": str(after or NIL), "limit": limit}
        if visible.ids is None:
            found = self._pool.fetch(ALL_NODES, arguments, deadline)
        else:
            arguments["domain_ids"] = list(map(str, visible.ids))
            found = self._pool.fetch(DOMAIN_NODES, arguments, deadline)
        return [NodeSummary(UUID(row[0]), UUID(row[1]), *row[2:]) for row in found]


class PostgresNodeRegistry:
    """Implements composer.registry.NodeRegistry.

    A write is one function call, so one round trip and one transaction. Every write may run twice:
    the second run finds what the first one did.
    """

    def __init__(
        self,
        pool: Sessions[WriteSession],
        hold_off: timedelta,
        node_quota: int = MOST_NODES,
        time_offset: TimeOffset = no_offset,
    ) -> None:
        """A released address is not given out again before ``hold_off`` has passed. A Domain has at
        most ``node_quota`` Nodes."""
        self._pool = pool
        self._hold_off = hold_off
        self._node_quota = node_quota
        self._time_offset = time_offset

    def register(
        self,
        domain_id: UUID,
        registration: Registration,
        write: AuditedWrite,
        deadline: Deadline,
    ) -> RegisteredNode:
        """See composer.registry.NodeRegistry."""
        arguments = {
            "domain_id": str(domain_id),
            "public_key": registration.wanted.public_key,
            "name": registration.wanted.name,
            "request_key": registration.idempotency_key,
            "request_meaning": registration.request_hash,
            "secret_key_digest": registration.secret_key_digest,
            "hold_off": self._hold_off,
            "node_quota": self._node_quota,
            "time_offset": self._time_offset(),
            **write_arguments(write, repeat=True),
        }
        found = self._pool.fetch(REGISTER_NODE, arguments, deadline)
        outcome, node_id, mesh_ip, mesh_cidr, tokens_not_before = found[0]
        _raise_refusal(outcome, f"domain_id={domain_id}")
        if mesh_ip is None:
            raise CorruptLedger(f"node_id={node_id} has a key and no address")
        return RegisteredNode(
            node_id=UUID(node_id),
            mesh_ip=mesh_ip,
            domain_mesh_cidr=mesh_cidr,
            is_new=outcome == "registered",
            tokens_not_before=tokens_not_before,
        )

    def deregister(self, node_id: UUID, write: AuditedWrite, deadline: Deadline) -> None:
        """See composer.registry.NodeRegistry."""
        arguments = {
            "node_id": str(node_id),
            "time_offset": self._time_offset(),
            **write_arguments(write),
        }
        self._pool.fetch(DEREGISTER_NODE, arguments, deadline)

    def rotate_key(
        self, node_id: UUID, public_key: bytes, write: AuditedWrite, deadline: Deadline
    ) -> bool:
        """See composer.registry.NodeRegistry."""
        arguments = {
            "node_id": str(node_id),
            "public_key": public_key,
            **write_arguments(write),
        }
        outcome = self._pool.fetch(ROTATE_NODE_KEY, arguments, deadline)[0][0]
        _raise_refusal(outcome, f"node_id={node_id}")
        return bool(outcome == "rotated")


def _raise_refusal(outcome: str, inside: str) -> None:
    error = _REFUSALS.get(outcome)
    if error is not None:
        raise error(inside)
