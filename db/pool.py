"""The connections of the service: bounded, kept, and never waited for longer than a request may.

SQLAlchemy's ``QueuePool`` keeps them, without its engine and its ORM. What it cannot do is done
here: a wait that ends with the caller's Deadline, and one budget for waiting, connecting and
querying.

Liveness, by measurement: a ping costs a whole round trip (about 35 us on loopback, where the
snapshot itself takes 130), so it is sent only on a connection that was idle for a second, and it
gets at most a second. Under load no ping is sent: when a connection turns out to be dead, the
statement is sent again on another one.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, cast

import psycopg2
from psycopg2.extensions import connection
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from composer.deadline import Deadline
from db.connections import (
    CONNECT_TIMEOUT,
    ReadSession,
    Row,
    S,
    WriteSession,
    connect,
    with_defaults,
)
from db.errors import DeadlineExceeded, NoFreeConnection, is_connection_lost, ledger_errors
from db.statements import Prepared, statement

IDLE_BEFORE_PING = 1.0  # seconds
PING_TIMEOUT = 1.0  # seconds, within the request's own deadline
# A connection is replaced at this age (seconds), so that all replicas move after a failover.
MAX_AGE = 1800
# When for this long no caller got or returned a connection, or when a caller gave up within this
# time, the callers without a connection are refused at once (seconds): none will become free.
TROUBLE = 1.0

# Every statement here is prepared once for a connection and planned once, by index, whatever the
# statistics were at that moment; a JIT or a parallel worker costs more than these statements take.
PLANNER = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}


def read_pool(
    dsn: str,
    size: int,
    statement_timeout: float,
    *,
    pool_wait: float = 1.0,
    application_name: str = "plexsphere-state",
    clock: Callable[[], float] = time.monotonic,
) -> Pool[ReadSession]:
    """Sessions that cannot write; times in seconds."""
    return Pool(
        dsn,
        ReadSession,
        size=size,
        statement_timeout=statement_timeout,
        pool_wait=pool_wait,
        application_name=application_name,
        clock=clock,
    )


def write_pool(
    dsn: str,
    size: int,
    statement_timeout: float,
    lock_timeout: float,
    *,
    parameters: Mapping[str, str] | None = None,
    application_name: str = "plexsphere-state write",
    clock: Callable[[], float] = time.monotonic,
) -> Pool[WriteSession]:
    """Sessions that may write; times in seconds.

    A pool of their own, so that writers which wait for each other leave the reads their
    connections. A lock that is not granted within ``lock_timeout`` is DatastoreUnavailable.
    """
    return Pool(
        dsn,
        WriteSession,
        size=size,
        statement_timeout=statement_timeout,
        parameters={"lock_timeout": str(round(lock_timeout * 1000)), **(parameters or {})},
        application_name=application_name,
        clock=clock,
    )


class Pool(Generic[S]):
    """At most ``size`` connections, opened when first needed and so after a fork. Thread-safe."""

    def __init__(
        self,
        dsn: str,
        access: type[S],
        *,
        size: int,
        statement_timeout: float,
        application_name: str,
        pool_wait: float = 1.0,
        parameters: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``access`` is the type of its sessions; times are in seconds.

        ``statement_timeout`` is Postgres' own, behind the deadline of the request.
        """
        settings = {
            **access.parameters,
            **(parameters or {}),
            "statement_timeout": str(round(statement_timeout * 1000)),
            "TimeZone": "UTC",
            **PLANNER,
        }
        self._dsn = with_defaults(dsn, settings, application_name=application_name)
        self._access = access
        self._size = size
        self._wait = pool_wait
        self._clock = clock
        self._budget = threading.local()
        self._forking = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._distrusted = self._doubted = -math.inf
        self._slots = ConnectionSlots(self._size, self._wait, self._clock)
        self._pool = QueuePool(
            cast(Any, self._connect),
            pool_size=self._size,
            max_overflow=0,
            timeout=0,  # the slots have done the waiting
            use_lifo=True,
            recycle=MAX_AGE,
            reset_on_return=None,  # autocommit leaves nothing to reset, and a rollback can hang
        )
        self._pid = os.getpid()

    def _connect(self) -> connection:
        return connect(self._dsn, self._budget.deadline.at_most(CONNECT_TIMEOUT))

    def fetch(
        self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline
    ) -> list[Row]:
        """All rows of a prepared statement, committed when this returns, in one round trip.

        It is sent again when its connection turns out to be dead. So it must be a read, or a write
        that may run twice. Raises DatastoreUnavailable when Postgres is not there or not in time,
        else ComposerError.
        """
        with ledger_errors(query.name):
            while True:
                is_new = True
                try:
                    with self._borrow(deadline) as borrowed:
                        is_new = "used_at" not in borrowed.info
                        return self._session(borrowed, deadline).execute(query, arguments)
                except psycopg2.Error as error:
                    # After a restart every kept connection is dead; the next one is a new one.
                    if is_new or not is_connection_lost(error):
                        raise

    @contextmanager
    def session(self, deadline: Deadline) -> Iterator[S]:
        """A live connection for several statements; any error ends the connection.

        Nothing is sent again, so a kept connection answers a ping first, however short it was idle.
        Raises as ``fetch``.
        """
        with ledger_errors("using the ledger"), self._borrow(deadline, trusting=False) as borrowed:
            yield self._session(borrowed, deadline)

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._pool.dispose()

    def _session(self, borrowed: PoolProxiedConnection, deadline: Deadline) -> S:
        prepared: set[str] = borrowed.info.setdefault("prepared", set())
        return self._access(cast(connection, borrowed.dbapi_connection), prepared, deadline)

    @contextmanager
    def _borrow(self, deadline: Deadline, trusting: bool = True) -> Iterator[PoolProxiedConnection]:
        if os.getpid() != self._pid:
            self._start_after_fork()
        with self._slots.slot(deadline):
            borrowed = self._ready_connection(deadline, trusting)
            try:
                yield borrowed
            except BaseException as error:
                if isinstance(error, DeadlineExceeded):
                    # A slow server, or a dead network: idle connections must answer a ping first.
                    self._doubted = self._clock()
                self._end(borrowed, is_connection_lost(error))
                raise
            borrowed.info["used_at"] = self._clock()
            borrowed.close()

    def _ready_connection(self, deadline: Deadline, trusting: bool) -> PoolProxiedConnection:
        """A new connection, one just used where that is enough, or one that answered a ping."""
        self._budget.deadline = deadline
        while True:
            borrowed = self._pool.connect()
            used_at = borrowed.info.get("used_at", math.inf)
            if used_at <= self._distrusted:
                self._end(borrowed, lost=False)
            elif self._needs_no_ping(used_at, trusting) or self._answers(borrowed, deadline):
                return borrowed

    def _needs_no_ping(self, used_at: float, trusting: bool) -> bool:
        is_new = used_at == math.inf
        just_used = used_at > self._doubted and self._clock() - used_at < IDLE_BEFORE_PING
        return is_new or (trusting and just_used)

    def _answers(self, borrowed: PoolProxiedConnection, deadline: Deadline) -> bool:
        try:
            self._session(borrowed, deadline.at_most(PING_TIMEOUT)).run(statement("ping"))
        except (psycopg2.Error, DeadlineExceeded):
            self._end(borrowed, lost=True)
            return False
        return True

    def _end(self, borrowed: PoolProxiedConnection, lost: bool) -> None:
        if lost:
            # What ended one connection has ended those that were kept beside it.
            self._distrusted = self._clock()
        borrowed.invalidate()

    def _start_after_fork(self) -> None:
        """Leave the parent's connections alone: psycopg2 closes none of another process."""
        with self._forking:
            if os.getpid() != self._pid:
                self._start()


class ConnectionSlots:
    """Bounds how many callers use a connection at once, and how long the others wait.

    While Postgres is frozen each connection belongs to a caller that waits until its deadline. The
    callers without one are refused at once, so that their threads can answer what needs no ledger.
    """

    def __init__(self, slots: int, wait: float, clock: Callable[[], float]) -> None:
        """``wait`` is the most seconds that a caller waits for a slot."""
        self._free = threading.Semaphore(slots)
        self._wait = wait
        self._clock = clock
        self._changed_at = -math.inf
        self._gave_up_at = -math.inf

    @contextmanager
    def slot(self, deadline: Deadline) -> Iterator[None]:
        """Raises NoFreeConnection, or DeadlineExceeded where no time is left to begin."""
        self._take(deadline)
        self._changed_at = self._clock()
        try:
            yield
            self._changed_at = self._clock()
            self._gave_up_at = -math.inf  # Postgres answers: the trouble is over
        except DeadlineExceeded:
            self._gave_up_at = self._clock()
            raise
        finally:
            self._free.release()

    def _take(self, deadline: Deadline) -> None:
        if deadline.remaining() <= 0:
            raise DeadlineExceeded("no time left")
        if self._free.acquire(blocking=False):
            return
        now = self._clock()
        if now - self._gave_up_at < TROUBLE or now - self._changed_at > TROUBLE:
            raise NoFreeConnection("every connection is in use, and none is coming back")
        if not self._free.acquire(timeout=deadline.at_most(self._wait).remaining()):
            self._gave_up_at = self._clock()
            raise NoFreeConnection("every connection stayed in use")
