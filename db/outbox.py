"""``plexsphere.outbox``: rows claimed, sent to SpiceDB, marked as sent; old rows deleted.

The transaction of a claim stays open during the call to SpiceDB. So an object never belongs to two
claims, and the rows of a process that ends meanwhile stay unsent (docs/decisions/0100-outbox.md).
To send a row twice does no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg2.errors import LockNotAvailable

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable, DatastoreUnavailable
from composer.identity import PLATFORM, parse_canonical_uuid
from db.connections import Row, SingleConnection, WriteSession
from db.errors import NoFreeConnection
from db.locks import ON_OUTBOX_CLAIMS, OUTBOX_ROLES, LockHolder
from db.pool import PoolGroup, write_pool
from db.positions import CheckServer
from db.statements import Prepared, statement

CLAIM_OLDEST = Prepared("outbox_claim_oldest")

# A process that is stopped during a claim loses the rows to the others after this (seconds).
LONGEST_CLAIM = 15

STATEMENT_SECONDS = 600.0  # counting reads the whole table
BATCH = 5_000  # rows deleted in one transaction


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """``tuples`` is the row's JSON value; ``parked_because`` is why SpiceDB refused it before;
    ``last_change`` is the number of the object's last change in SpiceDB, as far as the ledger
    knows."""

    seq: int
    object: str
    tuples: Any
    parked_because: str | None
    last_change: int | None


@dataclass(frozen=True, slots=True)
class OutboxLag:
    """``waiting`` rows, the oldest for ``seconds``; ``parked`` rows that SpiceDB refused."""

    waiting: int
    seconds: float
    parked: int


class Claim:
    """Rows that no other process sends until the claim ends."""

    def __init__(self, rows: Sequence[OutboxRow], session: WriteSession) -> None:
        self.rows = tuple(rows)
        self._session = session

    def drained(
        self,
        rows: Sequence[OutboxRow],
        token: str,
        *,
        purged: Sequence[str],
        last_changes: Mapping[str, int | None],
    ) -> None:
        """SpiceDB has taken ``rows``; ``token`` is of that moment or later. Once for each claim.

        What was parked before about ``purged`` objects does not matter any more. ``last_changes``
        has the numbers of the objects' last changes in SpiceDB.
        """
        numbers = {object: number for object, number in last_changes.items() if number is not None}
        objects = {row.object for row in rows}
        self._session.run(
            statement("outbox_drained"),
            {
                "token": token,
                "all_domains": PLATFORM in objects,
                "domains": _ids("domain:", objects),
                "nodes": _ids("node:", objects),
                "seqs": [row.seq for row in rows],
                "objects": list(numbers),
                "numbers": list(numbers.values()),
                "purged": list(purged),
                "last": max(row.seq for row in rows),
            },
        )

    def parked(self, row: OutboxRow, because: str) -> None:
        """SpiceDB will never take ``row``."""
        self._session.run(statement("outbox_park"), {"seq": row.seq, "because": because})


class PostgresOutbox:
    """The outbox, with at most ``size`` claims at once. They have connections of their own: a claim
    that waits for a frozen SpiceDB takes no connection from the other writers of the ledger."""

    def __init__(
        self,
        dsn: str,
        size: int,
        statement_timeout: float,
        lock_timeout: float,
        *,
        application_name: str = "plexsphere-state outbox",
        clock: Callable[[], float] = time.monotonic,
        check: CheckServer | None = None,
        group: PoolGroup | None = None,
    ) -> None:
        """Times in seconds; ``check`` and ``group`` as in Pool."""
        self._pool = write_pool(
            dsn=dsn,
            size=size,
            statement_timeout=statement_timeout,
            lock_timeout=lock_timeout,
            parameters={"idle_in_transaction_session_timeout": str(LONGEST_CLAIM * 1000)},
            application_name=application_name,
            clock=clock,
            check=check,
            group=group,
        )

    @contextmanager
    def claim(self, object: str, deadline: Deadline) -> Iterator[Claim]:
        """Every row of ``object`` that is not sent, parked ones included, in order.

        Waits for another claim of the object. Committed when the block ends, rolled back when it
        raises. Raises AuthzUnavailable when the other claim lasts too long, which means that it
        waits for SpiceDB; DatastoreUnavailable.
        """
        with _spicedb_is_the_cause(), self._pool.session(deadline) as session:
            with _spicedb_is_the_cause():
                found = session.run(statement("outbox_claim_object"), {"object": object})
            yield self._claim([OutboxRow(*row) for row in found], session)
            session.run(statement("outbox_commit"))

    @contextmanager
    def claim_oldest(
        self, limit: int, excluded: Sequence[str], deadline: Deadline
    ) -> Iterator[Claim]:
        """The waiting rows of the ``limit`` oldest objects that are in no claim; see ``claim``.

        ``excluded`` objects are left out.
        """
        arguments = {"limit": limit, "excluded": list(excluded)}
        with self._pool.session(deadline) as session:
            found = session.execute(CLAIM_OLDEST, arguments)
            yield self._claim([OutboxRow(*row) for row in found], session)
            session.run(statement("outbox_commit"))

    def lag(self, deadline: Deadline) -> OutboxLag:
        """The lag of SpiceDB behind the ledger. Raises DatastoreUnavailable."""
        with self._pool.session(deadline) as session:
            return OutboxLag(*session.run(statement("outbox_lag"))[0])

    def lock_holders(self, deadline: Deadline) -> list[LockHolder]:
        """The sessions of other claims, the longest first. Raises DatastoreUnavailable."""
        with self._pool.session(deadline) as session:
            found = session.run(statement("lock_holders"), ON_OUTBOX_CLAIMS)
        return [LockHolder(*row) for row in found]

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._pool.close()

    def _claim(self, rows: list[OutboxRow], session: WriteSession) -> Claim:
        objects = {row.object for row in rows}
        about_platform = PLATFORM in objects
        if about_platform or any(object.startswith("domain:") for object in objects):
            with _spicedb_is_the_cause():
                session.run(
                    statement("outbox_lock_roles"),
                    {"exclusive": about_platform, "lock": OUTBOX_ROLES},
                )
        return Claim(rows, session)


@contextmanager
def _spicedb_is_the_cause() -> Iterator[None]:
    """A claim that does not end, or no connection free for one: SpiceDB delays it, not Postgres."""
    try:
        yield
    except LockNotAvailable as cause:
        raise AuthzUnavailable("another drainer holds the object") from cause
    except DatastoreUnavailable as error:
        if isinstance(error.__cause__, NoFreeConnection):
            raise AuthzUnavailable("every drainer is busy") from error
        raise


def _ids(prefix: str, objects: set[str]) -> list[str]:
    """The UUIDs in the names with ``prefix``; a name without a UUID has no row."""
    names = (name.removeprefix(prefix) for name in objects if name.startswith(prefix))
    return sorted(name for name in names if parse_canonical_uuid(name) is not None)


@dataclass(frozen=True, slots=True)
class OldRows:
    """``rows`` that may be deleted, by type; ``since`` is the first moment that stays.

    ``unsent`` are as old and stay, because SpiceDB has not taken them.
    """

    since: datetime
    rows: Mapping[str, int]
    unsent: int


class OutboxRetention:
    """Deletes delivered rows, for one thread.

    Every method raises DatastoreUnavailable or another ComposerError.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = SingleConnection(
            dsn,
            WriteSession,
            application_name="plexsphere-state outbox prune",
            parameters={"lock_timeout": "2000"},  # for a DDL statement; no row is waited for
        )

    def old(self, age: timedelta) -> OldRows:
        """The rows older than ``age`` by the ledger's clock."""
        found = self._run("outbox_old", age=age)
        rows = {type: sent for _, type, sent, _ in found if type is not None and sent}
        return OldRows(found[0][0], rows, sum(row[3] for row in found if row[1] is not None))

    def delete(self, old: OldRows, batch: int = BATCH) -> int:
        """Delete them, ``batch`` rows in a transaction; their number."""
        deleted = after = 0
        while found := self._run("outbox_delete_old", after=after, since=old.since, limit=batch):
            deleted += len(found)
            after = max(seq for (seq,) in found)
        return deleted

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _run(self, name: str, **arguments: object) -> list[Row]:
        deadline = Deadline.after(STATEMENT_SECONDS, time.monotonic)
        return self._connection.run(name, arguments, deadline)
