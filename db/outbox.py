"""``plexsphere.outbox`` as its drainers use it: rows claimed, brought to SpiceDB, marked.

The transaction stays open over the call to SpiceDB, so that an object is never in two hands, and a
drainer that dies leaves its rows waiting (docs/decisions). What is brought twice does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg2.errors import LockNotAvailable

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable, DatastoreUnavailable
from composer.identity import PLATFORM, parse_canonical_uuid
from db.errors import NoFreeConnection
from db.holders import OUTBOX_CLAIMS, Holder
from db.pool import Reading, ReadPool
from db.statements import statement

# The advisory lock of outbox_lock_roles: "outboxtk" in ASCII.
TURN = 0x6F7574626F78746B
# A drainer that was stopped in mid-drain loses its rows to the others after this long (seconds).
HELD_AT_MOST = 15


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One row; ``tuples`` as JSON says it, ``parked_because`` where SpiceDB refused it before."""

    seq: int
    object: str
    tuples: Any
    parked_because: str | None


@dataclass(frozen=True, slots=True)
class Lag:
    """``waiting`` rows, the oldest for ``seconds``; ``parked`` ones that SpiceDB refused."""

    waiting: int
    seconds: float
    parked: int


class Claim:
    """Rows that nobody else drains until the claim ends."""

    def __init__(self, rows: Sequence[OutboxRow], reading: Reading) -> None:
        self.rows = tuple(rows)
        self._reading = reading

    def drained(self, rows: Sequence[OutboxRow], token: str, purged: Sequence[str]) -> None:
        """SpiceDB took ``rows``; ``token`` is of that moment or later. Once a claim.

        Of ``purged`` objects nothing that was parked before matters any more.
        """
        objects = {row.object for row in rows}
        self._reading.run(
            statement("outbox_drained"),
            {
                "token": token,
                "all_domains": PLATFORM in objects,
                "domains": _ids("domain:", objects),
                "nodes": _ids("node:", objects),
                "seqs": [row.seq for row in rows],
                "purged": list(purged),
                "last": max(row.seq for row in rows),
            },
        )

    def parked(self, row: OutboxRow, because: str) -> None:
        """SpiceDB will never take ``row``."""
        self._reading.run(statement("outbox_park"), {"seq": row.seq, "because": because})


class PostgresOutbox:
    """At most ``size`` claims at once, on connections of their own: one that waits for a frozen
    SpiceDB takes no place from the ledger's other writers."""

    def __init__(
        self,
        dsn: str,
        size: int,
        statement_timeout: float,
        lock_timeout: float,
        *,
        application_name: str = "plexsphere-state outbox",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Times in seconds."""
        self._pool = ReadPool(
            dsn,
            size,
            statement_timeout,
            access={
                "default_transaction_read_only": "off",
                "lock_timeout": str(round(lock_timeout * 1000)),
                "idle_in_transaction_session_timeout": str(HELD_AT_MOST * 1000),
            },
            application_name=application_name,
            clock=clock,
        )

    @contextmanager
    def claim(self, object: str, deadline: Deadline) -> Iterator[Claim]:
        """Every row of ``object`` that is not drained, parked ones included, in order.

        Waits for another drainer of the object. Committed when the block ends, undone when it
        raises. Raises AuthzUnavailable when that other drainer keeps it too long, which means that
        SpiceDB keeps that one waiting; DatastoreUnavailable.
        """
        with _waiting_for_spicedb(), self._pool.connection(deadline) as reading:
            with _waiting_for_spicedb():
                found = reading.run(statement("outbox_claim_object"), {"object": object})
            yield self._claim([OutboxRow(*row) for row in found], reading)
            reading.run(statement("outbox_commit"))

    @contextmanager
    def claim_oldest(
        self, limit: int, not_these: Sequence[str], deadline: Deadline
    ) -> Iterator[Claim]:
        """The waiting rows of ``limit`` objects in nobody's hands, but ``not_these``; see claim."""
        arguments = {"limit": limit, "excluded": list(not_these)}
        with self._pool.connection(deadline) as reading:
            found = reading.run(statement("outbox_claim_oldest"), arguments)
            yield self._claim([OutboxRow(*row) for row in found], reading)
            reading.run(statement("outbox_commit"))

    def lag(self, deadline: Deadline) -> Lag:
        """How far SpiceDB is behind the ledger. Raises DatastoreUnavailable."""
        with self._pool.connection(deadline) as reading:
            return Lag(*reading.run(statement("outbox_lag"))[0])

    def holders(self, deadline: Deadline) -> list[Holder]:
        """Other drainers that have rows in hand now, the longest first. As lag."""
        with self._pool.connection(deadline) as reading:
            found = reading.run(statement("lock_holders"), OUTBOX_CLAIMS)
        return [Holder(*row) for row in found]

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._pool.close()

    def _claim(self, rows: list[OutboxRow], reading: Reading) -> Claim:
        objects = {row.object for row in rows}
        alone = PLATFORM in objects
        if alone or any(one.startswith("domain:") for one in objects):
            with _waiting_for_spicedb():
                reading.run(statement("outbox_lock_roles"), {"exclusive": alone, "lock": TURN})
        return Claim(rows, reading)


@contextmanager
def _waiting_for_spicedb() -> Iterator[None]:
    """A drainer that does not end, or none that is free: SpiceDB keeps them, Postgres does not."""
    try:
        yield
    except LockNotAvailable as held:
        raise AuthzUnavailable("another drainer holds the object") from held
    except DatastoreUnavailable as error:
        if isinstance(error.__cause__, NoFreeConnection):
            raise AuthzUnavailable("every drainer is busy") from error
        raise


def _ids(kind: str, objects: set[str]) -> list[str]:
    """The UUIDs behind ``kind``; an object that names none has no row."""
    named = (one.removeprefix(kind) for one in objects if one.startswith(kind))
    return sorted(one for one in named if parse_canonical_uuid(one) is not None)
