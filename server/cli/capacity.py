"""The checks of ``doctor`` about what the service needs of Postgres and of this machine."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

from composer.deadline import Deadline
from composer.errors import ComposerError
from db.connections import ReadSession, SingleConnection
from db.errors import NO_CONNECTION_LEFT
from db.health import (
    DuplicateNodes,
    are_parameters_kept,
    are_transactions_pooled,
    connection_limit,
    duplicate_nodes,
)
from server.cli.check import Check
from server.cli.failures import innermost
from server.gunicorn.bounds import OTHER_DESCRIPTORS
from server.settings import Settings

CHECK_SECONDS = 3.0
# A relay, an evaluator and their successors, and a few commands.
OTHER_CONNECTIONS = 8


def capacity_checks(settings: Settings) -> Iterator[Check]:
    """Connections, poolers, descriptors, and rows that only SQL by hand can make."""
    connections = [
        SingleConnection(
            settings.dsn,
            ReadSession,
            application_name="plexsphere-state doctor",
            parameters={"statement_timeout": str(round(CHECK_SECONDS * 1000))},
        )
        for _ in range(2)
    ]
    first, second = connections
    deadline = Deadline.after(2 * CHECK_SECONDS, time.monotonic)
    try:
        yield connections_check(settings, connection_limit(first, deadline))
        is_pooled = are_transactions_pooled(first, second, deadline)
        yield pooler_check(is_pooled, are_parameters_kept(first, deadline))
        yield duplicates_check(duplicate_nodes(first, deadline))
    except ComposerError as error:
        yield Check(
            name="capacity",
            ok=False,
            detail=innermost(error),
            remedy="run doctor again: Postgres was too slow",
        )
    finally:
        for connection in connections:
            connection.close()
    yield descriptors_check(settings, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def connections_needed(settings: Settings) -> int:
    """The number of connections that one instance and the processes beside it may open."""
    return settings.workers * settings.shared_threads.connections + OTHER_CONNECTIONS


def unusable_postgres(settings: Settings, reason: str) -> Check:
    """Postgres cannot be asked."""
    remedy = "check PLEXSPHERE_DSN, that Postgres runs there, and that it admits this role"
    if reason == NO_CONNECTION_LEFT:
        remedy = (
            f"raise max_connections or the role's limit, for an instance needs "
            f"{connections_needed(settings)}; or lower PLEXSPHERE_WORKERS or PLEXSPHERE_POOL_SIZE"
        )
    return Check(name="postgres", ok=False, detail=reason, remedy=remedy)


def connections_check(settings: Settings, limit: int) -> Check:
    """Postgres grants what one instance and the processes beside it may open."""
    per_worker = settings.shared_threads.connections
    needed = connections_needed(settings)
    detail = (
        f"an instance needs {needed} ({settings.workers} x {per_worker} + {OTHER_CONNECTIONS}); "
        f"Postgres grants this role {limit}"
    )
    if needed <= limit:
        return Check("connections", True, detail)
    remedy = "raise max_connections, or lower PLEXSPHERE_WORKERS or PLEXSPHERE_POOL_SIZE"
    return Check(
        name="connections",
        ok=False,
        detail=f"{detail} (`plexsphere-state settings`)",
        remedy=remedy,
    )


def pooler_check(is_pooled: bool, keeps_parameters: bool = True) -> Check:
    """Each connection has a process of Postgres of its own, and the parameters of our sessions."""
    if not keeps_parameters:
        detail = "a pooler ignores the parameters of our sessions, read-only among them"
        remedy = "connect PLEXSPHERE_DSN directly: options must not be in ignore_startup_parameters"
        return Check(name="pooler", ok=False, detail=detail, remedy=remedy)
    if not is_pooled:
        return Check("pooler", True, "each connection has a process of Postgres of its own")
    remedy = "connect PLEXSPHERE_DSN directly or set the pooler to session mode; then run doctor"
    return Check(
        name="pooler",
        ok=False,
        detail="a pooler in transaction mode loses prepared statements",
        remedy=remedy,
    )


def descriptors_check(settings: Settings, limit: int) -> Check:
    """A worker may open a file for each connection of a client, or at least for half of them."""
    needed = settings.connections + OTHER_DESCRIPTORS
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return Check("descriptors", True, "enough for PLEXSPHERE_CONNECTIONS")
    detail = (
        f"a process may open {limit} files, so that a worker takes"
        f" {max(limit - OTHER_DESCRIPTORS, 0)} connections, not {settings.connections}"
    )
    if limit - OTHER_DESCRIPTORS >= settings.connections / 2:
        return Check("descriptors", True, detail)
    remedy = "raise LimitNOFILE (`ulimit -Hn`), or lower PLEXSPHERE_CONNECTIONS"
    return Check(name="descriptors", ok=False, detail=detail, remedy=remedy)


def duplicates_check(found: list[DuplicateNodes]) -> Check:
    """No two Nodes of a Domain have the same address or the same key."""
    if not found:
        return Check("duplicates", True, "no two Nodes of a Domain share an address or a key")
    worst = found[0]
    detail = (
        f"{worst.nodes} Nodes of Domain {worst.domain_id} have one {worst.column}, "
        f"{worst.first} and {worst.last} among them"
    )
    remedy = f"`plexsphere-state snapshot {worst.first} --explain` shows them; correct one row"
    return Check(name="duplicates", ok=False, detail=detail, remedy=remedy)
