"""The write side's connections: the read side's bounds, and a lock is waited for only so long.

A pool of its own, so that writers who wait for each other take no place from the pulls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from composer.deadline import Deadline
from db.connections import Row
from db.pool import ReadPool
from db.statements import Prepared


class WritePool:
    """At most ``size`` connections that may write, made when first needed (so: after a fork)."""

    def __init__(
        self,
        dsn: str,
        size: int,
        statement_timeout: float,
        lock_timeout: float,
        *,
        application_name: str = "plexsphere-state write",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Times in seconds; a lock not had within ``lock_timeout`` is DatastoreUnavailable."""
        self._pool = ReadPool(
            dsn,
            size,
            statement_timeout,
            access={
                "default_transaction_read_only": "off",
                "lock_timeout": str(round(lock_timeout * 1000)),
            },
            application_name=application_name,
            clock=clock,
        )

    def repeatable(
        self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline
    ) -> list[Row]:
        """All rows of a prepared statement, committed when this returns.

        It is sent again where its connection turns out dead, so it must be one that may run twice.
        Raises DatastoreUnavailable when Postgres is not there or not in time, else ComposerError.
        """
        return self._pool.fetch(query, arguments, deadline)

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._pool.close()
