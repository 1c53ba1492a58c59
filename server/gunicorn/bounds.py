"""Bounds of a client: its time, and the bytes that it may leave with a worker."""

from __future__ import annotations

import resource
from dataclasses import dataclass, replace

from server.gunicorn.sources import Network

# What a process opens beside its clients: files, and connections to Postgres and SpiceDB.
OTHER_DESCRIPTORS = 256
# gRPC ends a process that has none left.
FEWEST_DESCRIPTORS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of one worker. Times in seconds, sizes in bytes, rates in bytes a second.

    A bound with a default here is no setting.
    """

    connections: int
    source_connections: int
    trusted_proxies: tuple[Network, ...] = ()
    head_seconds: float
    # A body has the grace, and then as long as its rate earns it, but never longer than an agent
    # waits for an answer.
    body_grace_seconds: float = 5.0
    body_rate: int
    body_seconds: float = 30.0
    # Requests that no thread has read: heads and bodies of clients that nobody knows yet.
    unread_bytes: int
    # Answers that clients have not taken. An agent gives up after 30 s.
    unsent_bytes: int
    send_seconds: float
    # What is read of a connection after its last answer, and thrown away: in all, and for the next
    # bytes. Some clients send a whole body before they read, and an agent gives up after 30 s.
    rest_bytes: int = 64 * 1024 * 1024
    rest_seconds: float = 30.0
    next_seconds: float = 1.0
    # How long a stopping worker keeps idle connections, for a request on its way.
    stopping_seconds: float = 2.0
    # A stopping worker ends its streams one by one, for at most so long.
    stopping_streams_seconds: float = 6.0
    # A thread that has a request for so long is said to hang.
    hung_seconds: float = 30.0


def descriptors_complaint() -> str | None:
    """Why a worker cannot serve with the files that it may open; None where it can."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= FEWEST_DESCRIPTORS:
        return None
    return (
        f"a process may open {hard} files, and a worker needs {FEWEST_DESCRIPTORS} at least: "
        "raise LimitNOFILE (`ulimit -Hn`)"
    )


def with_descriptors(bounds: Bounds) -> Bounds:
    """Let this process open as many files as it may; no more clients than there are files for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = bounds.connections + OTHER_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return replace(bounds, connections=min(bounds.connections, max(16, most - OTHER_DESCRIPTORS)))
