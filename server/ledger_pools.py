"""The connections of the service: to the primary, and to a replica; and the memory of the host."""

from __future__ import annotations

from pathlib import Path

import structlog

from db.connections import ReadSession, WriteSession
from db.pool import Pool, PoolGroup, read_pool, write_pool
from db.positions import Positions, unchecked
from server.http.request_context import timed
from server.settings import Settings, metrics_directory

# A pull waits so long for a connection to a replica, and is then answered by the primary (seconds).
REPLICA_WAIT = 0.1

_log = structlog.stdlib.get_logger("plexsphere.positions")


def host_positions(settings: Settings) -> Positions:
    """The memory of this host, in a file that its workers share. Raises OSError where the file that
    the settings name cannot be used; without one each process can have a memory of its own."""
    shared = metrics_directory()
    if settings.position_file:
        return Positions(Path(settings.position_file))
    try:
        return Positions(Path(shared, "positions") if shared else None)
    except OSError as error:
        _log.warning("positions_not_shared", cause=str(error))
        return Positions()


def primary_pool(settings: Settings, positions: Positions, group: PoolGroup) -> Pool[ReadSession]:
    """Sessions that read, of a server that has all that this host has served."""
    return read_pool(
        settings.dsn,
        size=settings.shared_threads.read,
        statement_timeout=settings.statement_timeout,
        timed=timed,
        check=positions.check,
        group=group,
    )


def replica_pool(settings: Settings) -> Pool[ReadSession] | None:
    """Sessions of a standby, each of whose answers is compared; None where there is none."""
    if not settings.read_dsn:
        return None
    return read_pool(
        settings.read_dsn,
        size=settings.shared_threads.read,
        statement_timeout=settings.statement_timeout,
        pool_wait=REPLICA_WAIT,
        application_name="plexsphere-state replica",
        timed=timed,
        check=unchecked,
    )


def writer_pool(settings: Settings, positions: Positions, group: PoolGroup) -> Pool[WriteSession]:
    """Sessions that write, of a server that has all that this host has served."""
    return write_pool(
        settings.dsn,
        size=settings.shared_threads.write,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
        timed=timed,
        check=positions.check,
        group=group,
    )
