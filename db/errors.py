"""Turns psycopg2's errors into the composer's; the only place that knows SQLSTATEs.

A message has the work that failed, the kind of error and its SQLSTATE, and never a value. The
driver's own message is kept as ``__cause__``, for the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from composer.errors import ComposerError, DatastoreBusy, DatastoreUnavailable

# Classes and codes after which the same statement may succeed later: connection exceptions,
# insufficient resources (too many connections, disk full), operator intervention (shutdown,
# statement_timeout), a lock that was not granted in time, a cancelled read on a standby, an idle
# session ended by the server, a write on a standby (after a failover the primary is elsewhere).
_UNAVAILABLE_CLASSES = ("08", "53", "57")
_UNAVAILABLE_CODES = frozenset(("40001", "40P01", "55P03", "25006", "25P03", "25P04"))
# A prepared statement that is not there, or is there already: the connection belongs to a pooler,
# which sends each transaction to another one of Postgres.
_POOLER_CODES = frozenset(("26000", "42P05"))
# Of these: Postgres is there, and cannot do the work now (serialization, deadlock, disk full, out
# of memory, a lock that is not granted in time).
_BUSY_CODES = frozenset(("40001", "40P01", "53100", "53200", "55P03"))


NO_CONNECTION_LEFT = "it has no connection left"
# A message may contain several of these texts; the first in this order decides.
_REFUSALS = (
    ("no encryption", "it demands TLS of this client (pg_hba.conf)"),
    ("SSL off", "it demands TLS of this client (pg_hba.conf)"),
    ("no pg_hba.conf entry", "it admits no such client, role and database (pg_hba.conf)"),
    ("authentication failed", "it refuses the password of the role"),
    ("no password supplied", "it demands a password, and the DSN has none"),
    ("server does not support SSL", "the DSN demands TLS, and it has none"),
    ("certificate verify failed", "its certificate is not trusted"),
    ("root certificate file", "the CA for its certificate cannot be read"),
    ("does not match host name", "its certificate is of another host"),
    ("too many clients", NO_CONNECTION_LEFT),
    ("remaining connection slots", NO_CONNECTION_LEFT),
    ("too many connections", NO_CONNECTION_LEFT),
    ("no more connections allowed", NO_CONNECTION_LEFT),  # PgBouncer
    ("unsupported startup parameter", "a pooler refuses the start-up parameter options"),
    ("could not translate host name", "its host name is unknown"),
    ("starting up", "it is starting"),
    ("shutting down", "it is shutting down"),
    ("Connection refused", "nothing listens there (Connection refused)"),
    (
        "unrecognized configuration parameter",
        "it does not know a parameter of the DSN's options",
    ),
    ("invalid value for parameter", "it refuses a parameter of the DSN's options"),
    ("definition of service", "the DSN names a service that is defined nowhere"),
    # Of a role or a database; libpq quotes its name.
    ('role "', "it has no such role"),
    ('database "', "it has no such database, or admits nobody to it"),
)

# libpq's own words for a connection that ended before the server answered.
_ENDED = ("server closed the connection", "could not receive", "could not send", "SSL SYSCALL")


class DeadlineExceeded(Exception):
    """Postgres did not answer within the caller's deadline."""


class NoFreeConnection(Exception):
    """Every connection was in use for as long as the caller may wait."""


# Whatever the driver or a pool raises.
LEDGER_ERRORS = (psycopg2.Error, DeadlineExceeded, NoFreeConnection)


@contextmanager
def ledger_errors(doing: str) -> Iterator[None]:
    """Raise DatastoreUnavailable or ComposerError for whatever the driver or the pool raises."""
    try:
        yield
    except LEDGER_ERRORS as cause:
        raise translated(doing, cause) from cause


def translated(doing: str, cause: Exception) -> ComposerError:
    """The composer's error for ``cause``."""
    state = getattr(cause, "pgcode", None)
    message = f"{doing}: {type(cause).__name__}" + (f" sqlstate={state}" if state else "")
    if reason := connection_refusal(cause) or _fault_of_pooler(cause):
        message += f": {reason}"
    if not is_unavailable(cause):
        return ComposerError(message)
    return DatastoreBusy(message) if state in _BUSY_CODES else DatastoreUnavailable(message)


def connection_refusal(cause: BaseException) -> str | None:
    """Why a connection was refused, as a fixed text; None for another error.

    libpq gives no SQLSTATE for it, and its words quote hosts, roles and databases.
    """
    if not isinstance(cause, psycopg2.OperationalError) or cause.pgcode is not None:
        return None
    words = str(cause)
    return next((reason for part, reason in _REFUSALS if part in words), None)


def _fault_of_pooler(cause: BaseException | None) -> str | None:
    if getattr(cause, "pgcode", None) not in _POOLER_CODES:
        return None
    return "a pooler in transaction mode loses prepared statements (plexsphere-state doctor)"


def is_fault_of_pooler(error: ComposerError) -> bool:
    """Whether a pooler sent a statement to a connection that did not prepare it."""
    return _fault_of_pooler(error.__cause__) is not None


def has_no_connection_left(cause: BaseException) -> bool:
    """Whether a connection was refused because there are as many as there may be."""
    return connection_refusal(cause) == NO_CONNECTION_LEFT


def is_unanswered(cause: BaseException) -> bool:
    """Whether no server answered an attempt to connect; a refused password is an answer."""
    return isinstance(cause, DeadlineExceeded) or any(word in str(cause) for word in _ENDED)


def primary_message(cause: BaseException) -> str:
    """Postgres' own sentence about a statement, without the statement; empty without one."""
    diagnosis = cause.diag if isinstance(cause, psycopg2.Error) else None
    return (diagnosis and diagnosis.message_primary) or ""


def is_right_missing(cause: BaseException | None) -> bool:
    """Whether the role has no right to do it."""
    return getattr(cause, "pgcode", None) == "42501"


def is_unavailable(cause: BaseException) -> bool:
    """Whether Postgres was not there or not in time; if not, it refused the statement."""
    if isinstance(cause, (DeadlineExceeded, NoFreeConnection)):
        return True
    state = getattr(cause, "pgcode", None)
    if state is None:
        # A refused connection, a broken one and a closed one carry no SQLSTATE; nor does a
        # DSN that does not parse, which is a ProgrammingError.
        return isinstance(cause, (psycopg2.OperationalError, psycopg2.InterfaceError)) or (
            type(cause) is psycopg2.DatabaseError
        )
    return (
        state.startswith(_UNAVAILABLE_CLASSES)
        or state in _UNAVAILABLE_CODES
        or state in _POOLER_CODES
    )


def is_refused_row(error: Exception) -> bool:
    """Whether Postgres refused what a row holds: its data, by a constraint or by a trigger."""
    state = getattr(error.__cause__, "pgcode", None)
    return not isinstance(error, ComposerError) or (state or "").startswith(("22", "23", "P0001"))


def is_connection_lost(cause: BaseException) -> bool:
    """Whether the connection is gone, so that the statement may be sent again on another one."""
    state = getattr(cause, "pgcode", None)
    if state is None:
        return is_unavailable(cause) and isinstance(cause, psycopg2.Error)
    return state.startswith("08") or state in ("57P01", "57P02", "57P05")


def is_missing_table(cause: BaseException) -> bool:
    """Whether the database lacks the table: it was never migrated."""
    return getattr(cause, "pgcode", None) in ("42P01", "3F000")
