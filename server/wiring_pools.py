"""The connections to Postgres beside the pulls' own, each bounded for its own reason."""

from __future__ import annotations

from db.connections import ReadSession, WriteSession
from db.outbox import PostgresOutbox
from db.pool import Pool, read_pool, write_pool
from server.settings import Settings


def write_sessions(settings: Settings) -> Pool[WriteSession]:
    """One of two: of the registry's writers, who wait for each other, and of the heartbeats."""
    return write_pool(
        settings.dsn,
        size=settings.shared_threads.write,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )


def postgres_outbox(settings: Settings) -> PostgresOutbox:
    """As many drainers as there are writers, beside them."""
    return PostgresOutbox(
        settings.dsn,
        size=settings.shared_threads.write,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )


def scrape_pool(settings: Settings) -> Pool[ReadSession]:
    """One connection, and who comes while it is in use goes without: a crowd on /metrics takes
    no place from the pulls, and no thread from anybody while Postgres is frozen."""
    return read_pool(
        settings.dsn,
        size=1,
        statement_timeout=settings.statement_timeout,
        pool_wait=0.1,
        application_name="plexsphere-state metrics",
    )
