"""The NodeRegistry on Postgres: one function call a write, so one round trip and one
transaction."""

from __future__ import annotations

from collections.abc import Mapping
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
from composer.registry import NewNode, Registered
from db.ahead import Ahead, real_time
from db.statements import Prepared
from db.write_pool import WritePool

REGISTER_NODE = Prepared("register_node")
DEREGISTER_NODE = Prepared("deregister_node")
ROTATE_NODE_KEY = Prepared("rotate_node_key")

# What the functions of migration 0009 call their outcomes.
_REFUSED: Mapping[str, type[ComposerError]] = {
    "domain_not_found": DomainNotFound,
    "node_not_found": NodeNotFound,
    "idempotency_key_conflict": IdempotencyKeyConflict,
    "pool_exhausted": PoolExhausted,
    "public_key_in_use": PublicKeyInUse,
}


class PostgresNodeRegistry:
    """Implements composer.registry.NodeRegistry.

    Every statement may run twice: what the first run did, the second finds.
    """

    def __init__(
        self,
        pool: WritePool,
        hold_off: timedelta,
        ahead: Ahead = real_time,
    ) -> None:
        """A released address stays unused for ``hold_off``; ``ahead`` is how far time is moved."""
        self._pool = pool
        self._hold_off = hold_off
        self._ahead = ahead

    def register(
        self, domain_id: UUID, wanted: NewNode, key: str | None, deadline: Deadline
    ) -> Registered:
        """See composer.registry.NodeRegistry."""
        arguments = {
            "domain_id": str(domain_id),
            "public_key": wanted.public_key,
            "name": wanted.name,
            "request_key": key,
            "request_meaning": wanted.meaning,
            "hold_off": self._hold_off,
            "time_offset": self._ahead(),
        }
        found = self._pool.repeatable(REGISTER_NODE, arguments, deadline)
        outcome, node_id, mesh_ip, mesh_cidr = found[0]
        _refuse(outcome, f"domain_id={domain_id}")
        if mesh_ip is None:
            raise CorruptLedger(f"node_id={node_id} has a key and no address")
        return Registered(UUID(node_id), mesh_ip, mesh_cidr, is_new=outcome == "registered")

    def deregister(self, node_id: UUID, deadline: Deadline) -> None:
        """See composer.registry.NodeRegistry."""
        arguments = {"node_id": str(node_id), "time_offset": self._ahead()}
        self._pool.repeatable(DEREGISTER_NODE, arguments, deadline)

    def rotate_key(self, node_id: UUID, public_key: bytes, deadline: Deadline) -> bool:
        """See composer.registry.NodeRegistry."""
        arguments = {"node_id": str(node_id), "public_key": public_key}
        outcome = self._pool.repeatable(ROTATE_NODE_KEY, arguments, deadline)[0][0]
        _refuse(outcome, f"node_id={node_id}")
        return bool(outcome == "rotated")


def _refuse(outcome: str, inside: str) -> None:
    error = _REFUSED.get(outcome)
    if error is not None:
        raise error(inside)
