"""The connections of the service: bounded, kept, and never waited for longer than a request may.

A caller waits until its Deadline, for a place, a connection and an answer together. Connections are
opened beside the requests (db/idle_connections.py).

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
from functools import partial
from typing import Generic

import psycopg2
from psycopg2.extensions import connection

from composer.deadline import Deadline
from db.connections import (
    CONNECT_TIMEOUT,
    ReadSession,
    Row,
    S,
    WriteSession,
    connect,
)
from db.dsn import session_dsn
from db.errors import (
    LEDGER_ERRORS,
    DeadlineExceeded,
    NoFreeConnection,
    is_connection_lost,
    ledger_errors,
    translated,
)
from db.idle_connections import IdleConnections, PooledConnection
from db.positions import CheckServer, identify
from db.statements import Prepared, statement
from db.timing import POOL_WAIT, POSTGRES, Timed, untimed

IDLE_BEFORE_PING = 1.0  # seconds
PING_TIMEOUT = 1.0  # seconds, within the request's own deadline
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
    pool_wait: float | None = None,
    application_name: str = "plexsphere-state",
    clock: Callable[[], float] = time.monotonic,
    timed: Timed = untimed,
    check: CheckServer | None = None,
    group: PoolGroup | None = None,
) -> Pool[ReadSession]:
    """Sessions that cannot write; times in seconds. ``check`` and ``group`` as in Pool."""
    return Pool(
        dsn,
        ReadSession,
        size=size,
        statement_timeout=statement_timeout,
        pool_wait=pool_wait,
        application_name=application_name,
        clock=clock,
        timed=timed,
        check=check,
        group=group,
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
    timed: Timed = untimed,
    check: CheckServer | None = None,
    group: PoolGroup | None = None,
) -> Pool[WriteSession]:
    """Sessions that may write; times in seconds. ``check`` and ``group`` as in Pool.

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
        timed=timed,
        check=check,
        group=group,
    )


class PoolGroup:
    """The pools of a process whose connections count together: they give places to each other."""

    def __init__(self) -> None:
        self._pools: dict[object, IdleConnections] = {}

    def joined(self, pool: object, idle: IdleConnections) -> None:
        """``idle`` are from now on the connections of ``pool``."""
        self._pools[pool] = idle

    def give_back(self) -> bool:
        """Close an idle connection of any pool without waiting callers; false where none is."""
        return any(idle.close_idle() for idle in list(self._pools.values()))


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
        pool_wait: float | None = None,
        parameters: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
        timed: Timed = untimed,
        check: CheckServer | None = None,
        group: PoolGroup | None = None,
    ) -> None:
        """``access`` is the type of its sessions; times are in seconds.

        ``statement_timeout`` is Postgres' own, behind the deadline of the request. ``timed`` is
        told of the wait for a connection, and of its use. ``check`` raises LedgerBehind for the
        server of a new connection that must not be used. ``group`` has the other pools.
        """
        settings = {
            **access.parameters,
            **(parameters or {}),
            "statement_timeout": str(round(statement_timeout * 1000)),
            **PLANNER,
        }
        self._dsn = session_dsn(dsn, settings, application_name=application_name)
        self._access = access
        self.size = size
        self._wait = pool_wait
        self._clock = clock
        self._timed = timed
        self._check = check
        self._group = group or PoolGroup()
        self._forking = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._distrusted = self._doubted = -math.inf
        self._slots = ConnectionSlots(self.size, self._wait, self._clock)
        self._idle = IdleConnections(
            connect=self._connect,
            size=self.size,
            clock=self._clock,
            give_back=self._group.give_back,
        )
        self._group.joined(self, self._idle)
        self._pid = os.getpid()

    def _connect(self) -> connection:
        deadline = Deadline.after(CONNECT_TIMEOUT, time.monotonic)
        opened = connect(self._dsn, deadline)
        if self._check is not None:
            try:
                self._check(partial(identify, opened, deadline))
            except BaseException:
                opened.close()
                raise
        return opened

    def fetch(
        self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline
    ) -> list[Row]:
        """All rows of a prepared statement, committed when this returns, in one round trip.

        It is sent again when its connection turns out to be dead. So it must be a read, or a write
        that may run twice. Raises DatastoreUnavailable when Postgres is not there or not in time,
        else ComposerError.
        """
        try:
            while True:
                began = self._clock()
                pooled = self._borrow(deadline, trusting=True)
                try:
                    found = self._session(pooled, deadline).execute(query, arguments)
                except BaseException as error:
                    self._end_use(pooled, error)
                    # After a restart every kept connection is dead; the next one is a new one.
                    is_kept = pooled.used_at is not None or pooled.opened_at < began
                    if not (is_kept and is_connection_lost(error)):
                        raise
                else:
                    self._end_use(pooled)
                    return found
        except LEDGER_ERRORS as cause:
            raise translated(query.name, cause) from cause

    @contextmanager
    def session(self, deadline: Deadline) -> Iterator[S]:
        """A live connection for several statements; any error ends the connection.

        Nothing is sent again, so a kept connection answers a ping first, however short it was idle.
        Raises as ``fetch``.
        """
        with ledger_errors("using the ledger"):
            pooled = self._borrow(deadline, trusting=False)
            try:
                yield self._session(pooled, deadline)
            except BaseException as error:
                self._end_use(pooled, error)
                raise
            self._end_use(pooled)

    @property
    def used(self) -> int:
        """The number of connections that are in use."""
        return self._idle.used

    def close(self) -> None:
        """Close the idle connections; those in use are closed when they come back."""
        self._idle.close()

    def _session(self, pooled: PooledConnection, deadline: Deadline) -> S:
        return self._access(pooled.connection, pooled.prepared, deadline)

    def _borrow(self, deadline: Deadline, *, trusting: bool) -> PooledConnection:
        """A slot and a connection in it. Without an error both end with ``_end_use``."""
        if os.getpid() != self._pid:
            self._start_after_fork()
        began = self._clock()
        try:
            self._slots.take(deadline)
            try:
                pooled = self._ready_connection(deadline, trusting)
            except BaseException as error:
                self._slots.release(error)
                raise
            pooled.taken_at = self._clock()
            return pooled
        finally:
            self._timed(POOL_WAIT, began, self._clock())

    def _end_use(self, pooled: PooledConnection, error: BaseException | None = None) -> None:
        now = self._clock()
        self._timed(POSTGRES, pooled.taken_at, now)
        if error is None:
            pooled.used_at = now
            self._idle.give(pooled)
        else:
            if isinstance(error, DeadlineExceeded):
                # A slow server, or a dead network: idle connections must answer a ping first.
                self._doubted = now
            self._drop(pooled, is_connection_lost(error))
        self._slots.release(error)

    def _ready_connection(self, deadline: Deadline, trusting: bool) -> PooledConnection:
        """A new connection, one just used where that is enough, or one that answered a ping."""
        began = self._clock()
        while True:
            pooled = self._idle.take(deadline)
            is_new = pooled.used_at is None and pooled.opened_at >= began
            if not is_new and pooled.last_at <= self._distrusted:
                self._drop(pooled, is_lost=False)
            elif is_new or (trusting and self._is_fresh(pooled)) or self._answers(pooled, deadline):
                return pooled

    def _is_fresh(self, pooled: PooledConnection) -> bool:
        last_at = pooled.last_at
        return last_at > self._doubted and self._clock() - last_at < IDLE_BEFORE_PING

    def _answers(self, pooled: PooledConnection, deadline: Deadline) -> bool:
        try:
            self._session(pooled, deadline.at_most(PING_TIMEOUT)).run(statement("ping"))
        except (psycopg2.Error, DeadlineExceeded):
            self._drop(pooled, is_lost=True)
            return False
        return True

    def _drop(self, pooled: PooledConnection, is_lost: bool) -> None:
        if is_lost:
            # What ended one connection has ended those that were kept beside it.
            self._distrusted = self._clock()
        self._idle.drop(pooled)

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

    def __init__(self, slots: int, wait: float | None, clock: Callable[[], float]) -> None:
        """``wait`` is the most seconds that a caller waits for a slot; without it a caller waits
        until its deadline, as long as connections come back."""
        self._free = threading.Semaphore(slots)
        self._wait = wait
        self._clock = clock
        self._changed_at = -math.inf
        self._gave_up_at = -math.inf

    def take(self, deadline: Deadline) -> None:
        """Raises NoFreeConnection, or DeadlineExceeded where no time is left to begin."""
        if deadline.remaining() <= 0:
            raise DeadlineExceeded("no time left")
        if not self._free.acquire(blocking=False):
            self._wait_for_connection(deadline)
        self._changed_at = self._clock()

    def release(self, error: BaseException | None) -> None:
        """Give the slot back. ``error`` is that of its use."""
        if error is None:
            self._changed_at = self._clock()
            self._gave_up_at = -math.inf  # Postgres answers: the trouble is over
        elif isinstance(error, DeadlineExceeded):
            self._gave_up_at = self._clock()
        self._free.release()

    def _wait_for_connection(self, deadline: Deadline) -> None:
        now = self._clock()
        if now - self._gave_up_at < TROUBLE or now - self._changed_at > TROUBLE:
            raise NoFreeConnection("every connection is in use, and none is coming back")
        end = deadline if self._wait is None else deadline.at_most(self._wait)
        while not self._free.acquire(timeout=end.at_most(TROUBLE).remaining()):
            if end.remaining() <= 0 or self._clock() - self._changed_at > TROUBLE:
                self._gave_up_at = self._clock()
                raise NoFreeConnection("every connection stayed in use")
