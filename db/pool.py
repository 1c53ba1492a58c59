"""The read side's connections: bounded, kept alive, and never waited for longer than a request may.

SQLAlchemy's ``QueuePool`` keeps them, without its engine and its ORM. What it cannot do is done
here: a wait bounded by the caller's Deadline, and one budget over waiting, connecting and querying.

Liveness, by measurement: a ping costs a whole round trip (about 35 us on loopback where the
snapshot itself takes 130), so it is sent only on a connection that lay idle for a second, and gets
at most a second. Under load none is sent: a statement that finds its connection dead is sent again
on another one, because a read may be.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import psycopg2
from psycopg2.extensions import connection
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from composer.deadline import Deadline
from db.bulkhead import Bulkhead
from db.connections import Row, connect, fetch, with_defaults
from db.errors import DeadlineExceeded, is_connection_lost, ledger_errors
from db.statements import Prepared, statement

CONNECT_TIMEOUT = 2.0  # seconds, of the request's own budget
IDLE_BEFORE_PING = 1.0  # seconds
PING_TIMEOUT = 1.0  # seconds, of the request's own budget
# A connection is replaced at this age (seconds), so that a fleet finds its way after a failover.
MAX_AGE = 1800

# Every statement here is prepared once per connection and planned once, by index, whatever the
# statistics said at that moment; a JIT or a parallel worker costs more than these statements take.
PLANNER = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}


# What a session of this pool may do; db/write_pool.py has the other answer.
READ_ONLY: Mapping[str, str] = {"default_transaction_read_only": "on"}


class Reading:
    """A connection for as long as its holder has it, and the budget it may spend."""

    def __init__(self, lent: PoolProxiedConnection, deadline: Deadline) -> None:
        self._lent = lent
        self._deadline = deadline

    @property
    def _connection(self) -> connection:
        return cast(connection, self._lent.dbapi_connection)

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was done on the connection before."""
        return "used_at" not in self._lent.info

    def run(self, sql: str, arguments: Mapping[str, object] | None = None) -> list[Row]:
        """All rows of one statement."""
        return fetch(self._connection, sql, arguments, self._deadline)

    def execute(self, query: Prepared, arguments: Mapping[str, object]) -> list[Row]:
        """All rows of a prepared statement, prepared on this connection at its first use."""
        known: set[str] = self._lent.info.setdefault("prepared", set())
        if query.name not in known:
            fetch(self._connection, query.prepare, None, self._deadline)
            known.add(query.name)
        return fetch(self._connection, query.execute, arguments, self._deadline)


class ReadPool:
    """At most ``size`` read-only connections, made when first needed (so: after a fork)."""

    def __init__(
        self,
        dsn: str,
        size: int,
        statement_timeout: float,
        *,
        pool_wait: float = 1.0,
        access: Mapping[str, str] = READ_ONLY,
        application_name: str = "plexsphere-state",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``statement_timeout`` and ``pool_wait`` are in seconds."""
        parameters = {
            **access,
            "statement_timeout": str(round(statement_timeout * 1000)),
            "TimeZone": "UTC",
            **PLANNER,
        }
        self._dsn = with_defaults(dsn, parameters, application_name=application_name)
        self._size = size
        self._wait = pool_wait
        self._clock = clock
        self._budget = threading.local()
        self._forking = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._distrusted = self._doubted = -math.inf
        self._bulkhead = Bulkhead(self._size, self._wait, self._clock)
        self._pool = QueuePool(
            cast(Any, self._connect),
            pool_size=self._size,
            max_overflow=0,
            timeout=0,  # the bulkhead has done the waiting
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
        """All rows of a prepared read, in one round trip on a connection that knows the statement.

        Raises DatastoreUnavailable when Postgres is not there or not in time, else ComposerError.
        """
        with ledger_errors(query.name):
            while True:
                fresh = True
                try:
                    with self._borrow(deadline) as reading:
                        fresh = reading.is_fresh
                        return reading.execute(query, arguments)
                except psycopg2.Error as error:
                    # After a restart every kept connection is dead; the next one is made anew.
                    if fresh or not is_connection_lost(error):
                        raise

    @contextmanager
    def connection(self, deadline: Deadline) -> Iterator[Reading]:
        """A live connection for several statements; any error ends the connection.

        Nobody can send them again, so a kept one answers a ping first, however short it lay idle.
        """
        with ledger_errors("reading"), self._borrow(deadline, trusting=False) as reading:
            yield reading

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._pool.dispose()

    @contextmanager
    def _borrow(self, deadline: Deadline, trusting: bool = True) -> Iterator[Reading]:
        if os.getpid() != self._pid:
            self._start_after_fork()
        with self._bulkhead.place(deadline):
            lent = self._lend(deadline, trusting)
            try:
                yield Reading(lent, deadline)
            except BaseException as error:
                if isinstance(error, DeadlineExceeded):
                    # A slow server, or a dead network: what lies idle must answer a ping first.
                    self._doubted = self._clock()
                self._end(lent, is_connection_lost(error))
                raise
            lent.info["used_at"] = self._clock()
            lent.close()

    def _lend(self, deadline: Deadline, trusting: bool) -> PoolProxiedConnection:
        """A new connection, one just used where that is enough, or one that answered a ping."""
        self._budget.deadline = deadline
        while True:
            lent = self._pool.connect()
            used_at = lent.info.get("used_at", math.inf)
            if used_at <= self._distrusted:
                self._end(lent, lost=False)
            elif self._is_lively(used_at, trusting) or self._answers(lent, deadline):
                return lent

    def _is_lively(self, used_at: float, trusting: bool) -> bool:
        is_new = used_at == math.inf
        just_used = used_at > self._doubted and self._clock() - used_at < IDLE_BEFORE_PING
        return is_new or (trusting and just_used)

    def _answers(self, lent: PoolProxiedConnection, deadline: Deadline) -> bool:
        try:
            Reading(lent, deadline.at_most(PING_TIMEOUT)).run(statement("ping"))
        except (psycopg2.Error, DeadlineExceeded):
            self._end(lent, lost=True)
            return False
        return True

    def _end(self, lent: PoolProxiedConnection, lost: bool) -> None:
        if lost:
            # What cut one connection has cut those that were kept beside it.
            self._distrusted = self._clock()
        lent.invalidate()

    def _start_after_fork(self) -> None:
        """Leave the parent's connections alone: psycopg2 closes none that another process made."""
        with self._forking:
            if os.getpid() != self._pid:
                self._start()
