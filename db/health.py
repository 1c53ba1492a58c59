"""Whether Postgres answers, which schema it has, and how far the other processes are behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import psycopg2

from composer.deadline import Deadline
from db.connections import ReadSession, Sessions
from db.errors import is_missing_table
from db.outbox import OutboxLag
from db.statements import statement


@dataclass(frozen=True, slots=True)
class Lag:
    """SpiceDB's lag, and how old the last sweep is in seconds, None when there was none."""

    outbox: OutboxLag
    sweep_age: float | None


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


def read_lag(sessions: Sessions[ReadSession], deadline: Deadline) -> Lag:
    """As of now. Raises DatastoreUnavailable, or ComposerError for a ledger of another schema."""
    with sessions.session(deadline) as session:
        outbox = OutboxLag(*session.run(statement("outbox_lag"))[0])
        found = session.run(statement("evaluator_age"))
    return Lag(outbox, found[0][0] if found else None)


def clock_skew(
    sessions: Sessions[ReadSession], deadline: Deadline, clock: Callable[[], float]
) -> float:
    """Seconds by which Postgres' clock is ahead of ``clock``, exact to half a round trip.

    Raises DatastoreUnavailable.
    """
    with sessions.session(deadline) as session:
        before = clock()
        postgres_time = session.run(statement("clock"))[0][0]
        return float(postgres_time) - (before + clock()) / 2
