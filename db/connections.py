"""Connections to Postgres, and statements on them that end when their deadline does.

A frozen Postgres (SIGSTOP, a broken network) answers nothing, and then ``statement_timeout``, TCP
keepalives and ``cancel()`` do not help: only a caller that stops waiting does. So connections are
opened in psycopg2's asynchronous mode and this module does the waiting, for the connection itself
and for every statement, against a Deadline. ``set_wait_callback`` would run the same loop, but for
the whole process, and COPY does not work under it.

A connection is owned in one of three ways. A request has a session of a Pool (db/pool.py). A worker
or a command has a SingleConnection. COPY, migrations and the listener of db/access.py have
psycopg2's ordinary mode without a deadline.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import psycopg2
from psycopg2.extensions import (
    POLL_OK,
    POLL_READ,
    POLL_WRITE,
    connection,
)

from composer.deadline import Deadline
from db.dsn import later_hosts, session_dsn
from db.errors import DeadlineExceeded, is_unanswered, ledger_errors
from db.statements import Prepared, statement

Row = tuple[Any, ...]

# Seconds, within the deadline of the session; a command says within 3 s that Postgres is away.
CONNECT_TIMEOUT = 2.0
# Of the short writes of a command.
COMMAND_PARAMETERS = {
    "jit": "off",
    "lock_timeout": "2000",  # milliseconds
    "statement_timeout": "5000",  # milliseconds
}


class Session:
    """A connection with the deadline of its statements; after an error it must not be used."""

    parameters: ClassVar[Mapping[str, str]] = {}

    def __init__(self, opened: connection, prepared: set[str], deadline: Deadline) -> None:
        """``prepared`` holds the names of the statements that the connection has prepared."""
        self._connection = opened
        self._prepared = prepared
        self._deadline = deadline

    def run(self, sql: str, arguments: Mapping[str, object] | None = None) -> list[Row]:
        """All rows of one message."""
        return fetch(opened=self._connection, sql=sql, arguments=arguments, deadline=self._deadline)

    def execute(self, query: Prepared, arguments: Mapping[str, object]) -> list[Row]:
        """All rows of a prepared statement; the first use on a connection prepares it."""
        if query.name not in self._prepared:
            fetch(
                opened=self._connection, sql=query.prepare, arguments=None, deadline=self._deadline
            )
            self._prepared.add(query.name)
        return fetch(
            opened=self._connection, sql=query.execute, arguments=arguments, deadline=self._deadline
        )


class ReadSession(Session):
    """Postgres refuses every write of this session."""

    parameters: ClassVar[Mapping[str, str]] = {"default_transaction_read_only": "on"}


class WriteSession(Session):
    """A session that may write."""

    parameters: ClassVar[Mapping[str, str]] = {"default_transaction_read_only": "off"}


S = TypeVar("S", bound=Session)
S_co = TypeVar("S_co", bound=Session, covariant=True)


class Sessions(Protocol[S_co]):
    """A Pool or a SingleConnection."""

    def session(self, deadline: Deadline) -> AbstractContextManager[S_co]:
        """Several statements on one connection. Any error ends the connection.

        Raises DatastoreUnavailable when Postgres is not there or not in time, else ComposerError.
        """
        ...

    def fetch(
        self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline
    ) -> list[Row]:
        """All rows of a prepared statement, committed when this returns. Raises as ``session``."""
        ...


class SingleConnection(Generic[S]):
    """One connection, opened at first use and again after an error. Not for several threads.

    It needs none of the pool's libraries, whose import a short command would wait for.
    """

    def __init__(
        self,
        dsn: str,
        access: type[S],
        *,
        application_name: str,
        parameters: Mapping[str, str] | None = None,
        keep: bool = True,
        on_connected: Callable[[connection, Deadline], object] = lambda opened, deadline: None,
    ) -> None:
        """``keep=False`` closes the connection after every session: for sessions far apart.
        ``on_connected`` is called with each new connection, and may raise.
        """
        settings = {**access.parameters, **(parameters or {})}
        self._dsn = session_dsn(dsn, settings, application_name=application_name)
        self._access = access
        self._keep = keep
        self._on_connected = on_connected
        self._connection: connection | None = None
        self._prepared: set[str] = set()

    @contextmanager
    def session(self, deadline: Deadline, doing: str = "using the ledger") -> Iterator[S]:
        """See Sessions; ``doing`` is for the message of an error."""
        try:
            with ledger_errors(doing):
                if self._connection is None:
                    self._connection = connect(self._dsn, deadline.at_most(CONNECT_TIMEOUT))
                    self._on_connected(self._connection, deadline)
                yield self._access(self._connection, self._prepared, deadline)
        except BaseException:
            self.close()
            raise
        if not self._keep:
            self.close()

    def fetch(
        self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline
    ) -> list[Row]:
        """See Sessions."""
        with self.session(deadline, query.name) as session:
            return session.execute(query, arguments)

    def run(self, name: str, arguments: Mapping[str, object], deadline: Deadline) -> list[Row]:
        """All rows of the named query. Raises as ``session``."""
        with self.session(deadline, name) as session:
            return session.run(statement(name), arguments)

    def close(self) -> None:
        """Close the connection, if there is one; the next session opens another."""
        opened, self._connection = self._connection, None
        self._prepared = set()
        if opened is not None:
            opened.close()


@contextmanager
def command_connections(
    dsn: str, application_name: str
) -> Iterator[tuple[SingleConnection[ReadSession], SingleConnection[WriteSession]]]:
    """A connection to read and one to write, for a command with one thread."""
    reads = SingleConnection(dsn, ReadSession, application_name=application_name)
    writes = SingleConnection(
        dsn, WriteSession, application_name=application_name, parameters=COMMAND_PARAMETERS
    )
    with closing(reads), closing(writes):
        yield reads, writes


@contextmanager
def blocking_connection(
    dsn: str, doing: str, parameters: Mapping[str, str] | None = None, **defaults: str
) -> Iterator[connection]:
    """A connection in psycopg2's ordinary mode, closed in the end; ``with`` it is a transaction.

    ``parameters`` and ``defaults`` are those of ``session_dsn``. Raises DatastoreUnavailable or
    another ComposerError for what the driver raises.
    """
    named = session_dsn(dsn, parameters or {}, **defaults)
    with ledger_errors(doing), closing(by_any_host(named, psycopg2.connect)) as opened:
        yield opened


def by_any_host(dsn: str, attempt: Callable[[str], connection]) -> connection:
    """A connection to the first host that answers. Raises what ``attempt`` raises.

    libpq itself tries the next host only where one does not accept connections; before a dead
    primary there may be a load balancer that accepts one and ends it, or says nothing.
    """
    for later in later_hosts(dsn):
        try:
            return attempt(dsn)
        except (psycopg2.OperationalError, DeadlineExceeded) as cause:
            if not is_unanswered(cause):
                raise
            dsn = later
    return attempt(dsn)


def connect(dsn: str, deadline: Deadline) -> connection:
    """A connection in autocommit; raises DeadlineExceeded or what psycopg2 raises.

    Each host has an equal share of the time that is left.
    """

    def attempt(hosts: str) -> connection:
        share = deadline.remaining() / (1 + len(later_hosts(hosts)))
        return _connected(hosts, deadline.at_most(share))

    return by_any_host(dsn, attempt)


def _connected(dsn: str, deadline: Deadline) -> connection:
    opened = psycopg2.connect(dsn, async_=True)
    try:
        wait(opened, deadline)
    except BaseException:
        opened.close()
        raise
    return opened


def fetch(
    opened: connection,
    sql: str,
    arguments: Mapping[str, object] | Sequence[object] | None,
    deadline: Deadline,
) -> list[Row]:
    """All rows of one message; raises DeadlineExceeded or what psycopg2 raises.

    After any error the connection must not be used: its state is unknown.
    """
    with opened.cursor() as cursor:
        cursor.execute(sql, arguments)
        wait(opened, deadline)
        return cursor.fetchall() if cursor.description else []


def wait(opened: connection, deadline: Deadline) -> None:
    """Return when the connection has finished what it is doing."""
    while True:
        try:
            state = opened.poll()
        except UnicodeDecodeError as cause:  # what answers there is no Postgres
            raise psycopg2.OperationalError("an error message that is no text") from cause
        if state == POLL_OK:
            return
        poller = select.poll()
        if state == POLL_READ:
            poller.register(opened.fileno(), select.POLLIN)
        elif state == POLL_WRITE:
            poller.register(opened.fileno(), select.POLLOUT)
        else:
            raise psycopg2.OperationalError("unexpected state of the connection")
        left = deadline.remaining()
        # Data that has arrived is read even when the time is just over.
        if not poller.poll(left * 1000) and left <= 0:
            raise DeadlineExceeded("no answer within the deadline")
