"""The digests a Node was granted, from its audit rows, and the bodies that are kept of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime

from composer.deadline import Deadline
from db.connections import Row, connect, fetch, with_defaults
from db.errors import ledger_errors
from db.statements import statement


@dataclass(frozen=True, slots=True)
class Served:
    """A digest, from its first grant to its last without another between them."""

    digest: str
    first_at: datetime
    last_at: datetime
    grants: int


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A row of ``plexsphere.node_bodies``; ``packed`` is None where it was too large to be kept."""

    digest: str
    served_at: datetime
    size: int  # bytes, as it was sent
    packed: bytes | None

    def unpacked(self) -> bytes:
        """The very bytes that were sent. Raises ValueError where somebody changed them."""
        try:
            return zlib.decompress(self.packed or b"")
        except zlib.error:
            raise ValueError("is not what was compressed") from None


def node_history(dsn: str, node_id: str, limit: int, deadline: Deadline) -> list[Served]:
    """The last ``limit`` of them, the newest first. Raises DatastoreUnavailable."""
    arguments = {"object": f"node:{node_id}", "limit": limit}
    return [Served(*row) for row in _read(dsn, "node_history", arguments, deadline)]


def node_bodies(dsn: str, node_id: str, deadline: Deadline) -> list[KeptBody]:
    """All that are kept, the newest first. Raises DatastoreUnavailable."""
    found = _read(dsn, "node_bodies", {"node_id": node_id}, deadline)
    return [
        KeptBody(digest, served_at, size, None if packed is None else bytes(packed))
        for digest, served_at, size, packed in found
    ]


def is_there(dsn: str, node_id: str, deadline: Deadline) -> bool:
    """Whether the Node is registered. Raises DatastoreUnavailable."""
    return bool(_read(dsn, "node_exists", {"node_id": node_id}, deadline))


def _read(dsn: str, name: str, arguments: dict[str, object], deadline: Deadline) -> list[Row]:
    named = with_defaults(
        dsn, {"default_transaction_read_only": "on"}, application_name="plexsphere-state fleet"
    )
    with ledger_errors("reading what a Node was granted"):
        opened = connect(named, deadline)
        try:
            return fetch(opened, statement(name), arguments, deadline)
        finally:
            opened.close()
