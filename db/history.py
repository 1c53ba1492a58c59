"""The answers to each Node: the digests, from its audit rows, and the last bodies, whole."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from psycopg2 import Binary

from composer.deadline import Deadline
from composer.identity import parse_canonical_uuid
from db.connections import ReadSession, SingleConnection, WriteSession
from db.locks import BODY_WRITERS

CAPACITY = 32 * 2**20  # bytes that wait for the ledger, in one process
LARGEST = 2 * 2**20  # bytes of a body; the peers of 10,000 Nodes are 1.4 million
BATCH = 8 * 2**20  # bytes in a statement, before they are compressed
OVERHEAD = 1_024  # bytes that a waiting body costs beside its own
# The fastest level. Keys are random: 10,000 peers shrink to half in 37 ms; the best level takes
# 116 ms for 48 %.
COMPRESSION_LEVEL = 1


@dataclass(frozen=True, slots=True)
class ServedBody:
    """A body that was served at ``at``, on the sink's monotonic clock, in seconds.

    ``body`` is None where it is too large to be kept; ``size`` is its size in bytes all the same.
    """

    at: float
    node_id: str
    digest: str
    size: int
    body: bytes | None

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return OVERHEAD + len(self.body or b"")


class BodyQueue:
    """Implements server.http.body_history.BodyHistory: bounded in bytes, and a pull never waits.

    It has no thread: the thread that writes audit rows takes from it, after the rows.
    """

    def __init__(
        self,
        per_node: int,
        *,
        on_lost: Callable[[int, str], None],
        capacity: int = CAPACITY,
        largest: int = LARGEST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``per_node`` bodies are kept; ``on_lost(bodies, reason)`` gets every loss: queue_full,
        failed or shutdown.

        It is called on the writer's thread, and what it raises is ignored. The ledger may already
        have a body that is lost.
        """
        self.per_node = per_node
        self._on_lost = on_lost
        self._capacity = capacity
        self._largest = largest
        self._clock = clock
        self._changing = threading.Lock()
        self._waiting: dict[tuple[str, str], ServedBody] = {}
        self._cost = 0  # bytes, of those in flight too
        self._overflow = 0

    def keep(self, node: str, digest: str, body: bytes) -> None:
        """Queue ``body``: no I/O, no exception. A body that waits already is not queued again."""
        node_id = parse_canonical_uuid(node.removeprefix("node:"))
        if node_id is None:
            return
        kept = body if len(body) <= self._largest else None
        served = ServedBody(
            at=self._clock(), node_id=str(node_id), digest=digest, size=len(body), body=kept
        )
        key = (served.node_id, digest)
        with self._changing:
            before = self._waiting.pop(key, None)
            cost = self._cost + served.cost - (before.cost if before else 0)
            if cost > self._capacity:
                self._overflow += 1
            else:
                self._waiting[key] = served
            self._cost = cost if key in self._waiting else cost - served.cost

    @property
    def waiting(self) -> bool:
        """Whether a body is not written yet, those in flight included."""
        return self._cost > 0

    def take(self) -> tuple[ServedBody, ...]:
        """The oldest that fit into one statement; they count until ``done``."""
        taken: list[ServedBody] = []
        size = 0
        with self._changing:
            for served in tuple(self._waiting.values()):
                size += served.cost
                if taken and size > BATCH:
                    break
                taken.append(self._waiting.pop((served.node_id, served.digest)))
        return tuple(taken)

    def done(self, batch: tuple[ServedBody, ...], lost: str | None = None) -> None:
        """The memory of ``batch`` is free again; ``lost`` is why it was not written."""
        with self._changing:
            self._cost -= sum(served.cost for served in batch)
            overflow, self._overflow = self._overflow, 0
        if lost:
            self._lose(len(batch), lost)
        self._lose(overflow, "queue_full")

    def close(self) -> None:
        """The bodies that are left are lost."""
        with self._changing:
            left = tuple(self._waiting.values())
            self._waiting.clear()
        self.done(left, "shutdown")

    def _lose(self, bodies: int, reason: str) -> None:
        if bodies:
            with suppress(Exception):
                self._on_lost(bodies, reason)


def write_bodies(
    connection: SingleConnection[WriteSession],
    batch: Sequence[ServedBody],
    per_node: int,
    clock: Callable[[], float],
    deadline: Deadline,
) -> None:
    """Write what the ledger lacks of ``batch``; of each Node the newest ``per_node`` stay.

    The bodies are sent in a second statement, only when one is missing: most pulls bring nothing
    new. Raises DatastoreUnavailable or another ComposerError.
    """
    now = connection.run("audit_clock", {}, deadline)[0][0]
    since = clock()
    found = connection.run("node_bodies_missing", _columns(batch, now, since), deadline)
    missing = {(node_id, digest) for node_id, digest in found}
    new = [served for served in batch if (served.node_id, served.digest) in missing]
    if new:
        bodies: Mapping[str, object] = {
            "bytes": [served.size for served in new],
            "body": [
                None
                if served.body is None
                else Binary(zlib.compress(served.body, COMPRESSION_LEVEL))
                for served in new
            ],
            "per_node": per_node,
        }
        connection.run("node_bodies_write", {**_columns(new, now, since), **bodies}, deadline)


def _columns(batch: Sequence[ServedBody], now: datetime, since: float) -> dict[str, object]:
    return {
        "lock": BODY_WRITERS,
        "now": now,
        "age": [since - served.at for served in batch],
        "node_id": [served.node_id for served in batch],
        "digest": [served.digest for served in batch],
    }


@dataclass(frozen=True, slots=True)
class GrantedDigest:
    """A series of grants with the same digest, and no other between them."""

    digest: str
    first_at: datetime
    last_at: datetime
    grants: int


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A row of ``plexsphere.node_bodies``.

    ``compressed`` is None where the body was too large to be kept; ``size`` is its size in bytes.
    """

    digest: str
    served_at: datetime
    size: int
    compressed: bytes | None

    def body(self) -> bytes:
        """The bytes that were sent. Raises ValueError where the row was changed by hand."""
        try:
            return zlib.decompress(self.compressed or b"")
        except zlib.error:
            raise ValueError("is not what was compressed") from None


class NodeHistory:
    """One Node's history, for people. Every method raises DatastoreUnavailable."""

    def __init__(self, dsn: str, node_id: str) -> None:
        self._connection = SingleConnection(
            dsn, ReadSession, application_name="plexsphere-state fleet"
        )
        self._node_id = node_id

    def digests(self, limit: int, deadline: Deadline) -> list[GrantedDigest]:
        """The last ``limit`` series of grants, the newest first."""
        arguments = {"object": f"node:{self._node_id}", "limit": limit}
        return [
            GrantedDigest(*row) for row in self._connection.run("node_history", arguments, deadline)
        ]

    def bodies(self, deadline: Deadline) -> list[KeptBody]:
        """All bodies that are kept, the newest first."""
        found = self._connection.run("node_bodies", {"node_id": self._node_id}, deadline)
        return [
            KeptBody(
                digest=digest,
                served_at=served_at,
                size=size,
                compressed=None if body is None else bytes(body),
            )
            for digest, served_at, size, body in found
        ]

    def node_exists(self, deadline: Deadline) -> bool:
        """Whether the Node is registered."""
        return bool(self._connection.run("node_exists", {"node_id": self._node_id}, deadline))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
