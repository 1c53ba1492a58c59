"""Whether Postgres answers, which schema it has, and how far the other processes are behind it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg2

from composer.deadline import Deadline
from db.connections import ReadSession, Sessions
from db.errors import is_missing_table
from db.events import EventLag
from db.outbox import OutboxLag
from db.statements import Prepared, statement

READINESS = Prepared("readiness")
# So many, because a single Node may be leaving just now.
RECENT_NODES = 3


@dataclass(frozen=True, slots=True)
class LastComparison:
    """The last comparison of SpiceDB with the ledger.

    ``age`` in seconds, None where there was none; ``differences`` are the tuples that differed, and
    ``mended`` those of all comparisons.
    """

    age: float | None
    differences: int
    mended: int


@dataclass(frozen=True, slots=True)
class Lag:
    """SpiceDB's lag, how old the last sweep is in seconds (None when there was none), the last
    comparison, and the lag of the stream of events. ``clock_skew`` is that of this machine: seconds
    by which Postgres' clock is ahead of it."""

    outbox: OutboxLag
    sweep_age: float | None
    comparison: LastComparison
    events: EventLag
    clock_skew: float


@dataclass(frozen=True, slots=True)
class Readiness:
    """``version`` is the newest migration applied, 0 for a ledger that was never migrated.

    ``nodes`` are some Nodes of which SpiceDB must know that they are their own agents.
    """

    version: int
    nodes: tuple[UUID, ...]


def ping(sessions: Sessions[ReadSession], deadline: Deadline) -> None:
    """Raises DatastoreUnavailable when Postgres does not answer."""
    with sessions.session(deadline) as session:
        session.run(statement("ping"))


def schema_version(sessions: Sessions[ReadSession], deadline: Deadline) -> int:
    """The newest migration applied; 0 for a ledger that was never migrated."""
    with sessions.session(deadline) as session:
        try:
            return int(session.run(statement("schema_version"))[0][0])
        except psycopg2.Error as cause:
            if is_missing_table(cause):
                return 0
            raise


def encoding(sessions: Sessions[ReadSession], deadline: Deadline) -> str:
    """The database's encoding, such as ``UTF8``. Raises DatastoreUnavailable."""
    with sessions.session(deadline) as session:
        return str(session.run(statement("migrations_encoding"))[0][0])


def read_readiness(sessions: Sessions[ReadSession], deadline: Deadline) -> Readiness:
    """Prepare a statement and run it twice, as a pull does on a kept connection.

    Raises DatastoreUnavailable, or ComposerError where a prepared statement does not stay.
    """
    with sessions.session(deadline) as session:
        try:
            for _ in range(2):
                version, nodes = session.execute(READINESS, {"nodes": RECENT_NODES})[0]
        except psycopg2.Error as cause:
            if is_missing_table(cause):
                return Readiness(0, ())
            raise
    return Readiness(version, tuple(map(UUID, nodes)))


def read_lag(sessions: Sessions[ReadSession], deadline: Deadline) -> Lag:
    """The lag as of now.

    Raises DatastoreUnavailable, or ComposerError for a ledger of another schema.
    """
    with sessions.session(deadline) as session:
        outbox = OutboxLag(*session.run(statement("outbox_lag"))[0])
        found = session.run(statement("evaluator_age"))
        comparison = LastComparison(*session.run(statement("comparison_last"))[0])
        events = EventLag(*session.run(statement("events_lag"))[0])
        skew = _clock_skew(session, time.time)
    return Lag(
        outbox=outbox,
        sweep_age=found[0][0] if found else None,
        comparison=comparison,
        events=events,
        clock_skew=skew,
    )


def clock_skew(
    sessions: Sessions[ReadSession], deadline: Deadline, clock: Callable[[], float]
) -> float:
    """Seconds by which Postgres' clock is ahead of ``clock``, exact to half a round trip.

    Raises DatastoreUnavailable.
    """
    with sessions.session(deadline) as session:
        return _clock_skew(session, clock)


def _clock_skew(session: ReadSession, clock: Callable[[], float]) -> float:
    before = clock()
    postgres_time = session.run(statement("clock"))[0][0]
    return float(postgres_time) - (before + clock()) / 2


def connection_limit(sessions: Sessions[ReadSession], deadline: Deadline) -> int:
    """The most connections that this role may have. Raises DatastoreUnavailable."""
    with sessions.session(deadline) as session:
        limits = session.run(statement("connection_limits"))[0]
    return min(int(limit) for limit in limits if limit is not None and limit >= 0)


def are_transactions_pooled(
    first: Sessions[ReadSession], second: Sessions[ReadSession], deadline: Deadline
) -> bool:
    """Whether two connections that are open at the same time share one process of Postgres.

    Then a pooler gives out a process for a transaction only, and prepared statements are lost.
    """
    with first.session(deadline) as session_a, second.session(deadline) as session_b:
        backends = [session.run(statement("backend"))[0][0] for session in (session_a, session_b)]
    return len(set(backends)) == 1


def are_parameters_kept(sessions: Sessions[ReadSession], deadline: Deadline) -> bool:
    """Whether a session has the parameters that we set at its start: a pooler may ignore them."""
    with sessions.session(deadline) as session:
        return bool(session.run(statement("pinned_parameters"))[0][0])


@dataclass(frozen=True, slots=True)
class DuplicateNodes:
    """``nodes`` Nodes of a Domain with the same ``column``, two of them by id."""

    column: str
    domain_id: str
    nodes: int
    first: str
    last: str


def duplicate_nodes(sessions: Sessions[ReadSession], deadline: Deadline) -> list[DuplicateNodes]:
    """Some duplicates of addresses and keys. Raises DatastoreUnavailable."""
    with sessions.session(deadline) as session:
        return [DuplicateNodes(*row) for row in session.run(statement("duplicate_nodes"))]
