"""The listeners of a worker: when clients are let in, and which of them."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from math import inf
from typing import Any

import structlog

from server.gunicorn.bounds import Bounds
from server.gunicorn.connection import Connection, State
from server.gunicorn.poller import READ, Poller
from server.gunicorn.sources import Sources, address_of

# Connections taken at once. Where they are taken more slowly than they come, the kernel drops some,
# and those clients try again a second later.
ACCEPT_BATCH = 256
# How long nobody is let in after the process or the machine ran out of descriptors.
ACCEPT_PAUSE_SECONDS = 0.5
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = structlog.stdlib.get_logger("plexsphere.connections")


class Listeners:
    """Belongs to the loop: every method runs in its thread."""

    def __init__(
        self,
        sockets: Sequence[Any],
        poller: Poller,
        bounds: Bounds,
        sources: Sources,
        connections: Collection[Connection],
        *,
        let_in: Callable[[socket.socket, Any, Any, str], None],
        close: Callable[[Connection], None],
    ) -> None:
        """``connections`` are all of the loop's.

        ``let_in`` gets a new socket, the addresses of client and server, and the counted source.
        """
        self._sockets = sockets
        self._poller = poller
        self._bounds = bounds
        self._sources = sources
        self._connections = connections
        self._let_in = let_in
        self._close = close
        self._is_accepting = False
        self.accepts_from = inf  # the moment at which a pause ends
        self._turned_away = 0  # clients of a source that has too many, since it was last said
        for listener in sockets:
            listener.setblocking(False)

    def begin(self) -> None:
        """Let clients in."""
        self._is_accepting = True
        self.accepts_from = inf
        for listener in self._sockets:
            on_event = partial(self._accept, listener)
            self._poller.register(listener.fileno(), READ, on_event)

    def end(self) -> None:
        """Leave clients in the queue of their listener, for another worker."""
        self._stop_listening()
        self.accepts_from = inf

    def look(self) -> None:
        """Accept the clients that wait now; close no idle connection for them."""
        if self._is_crowded:
            return
        for listener in self._sockets:
            self._accept(listener)

    def log_refused_clients(self) -> None:
        """Log a line for all clients of a source that has too many."""
        if self._turned_away:
            most = self._bounds.source_connections
            _log.warning("source_full", connections=most, turned_away=self._turned_away)
            self._turned_away = 0

    def _stop_listening(self) -> None:
        if self._is_accepting:
            self._is_accepting = False
            for listener in self._sockets:
                self._poller.unregister(listener.fileno())

    def _pause(self) -> None:
        """Clients wait in the queue of their listener meanwhile."""
        self._stop_listening()
        self.accepts_from = time.monotonic() + ACCEPT_PAUSE_SECONDS

    def _accept(self, listener: Any, mask: int = READ) -> None:
        if not self._is_accepting:
            return
        if self._is_crowded and not self._has_made_room():
            self._pause()
            return
        for _ in range(ACCEPT_BATCH):
            if self._is_crowded:  # room is made for who is known to wait
                return
            try:
                sock, client = listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _log.error("accept_paused", cause=os.strerror(error.errno or 0))
                self._has_made_room()
                self._pause()
                return
            self._count_in(sock, client, listener.getsockname())

    def _count_in(self, sock: socket.socket, client: Any, server: Any) -> None:
        """Let a client in unless its source has too many; a proxy may have any number."""
        address = address_of(client)
        source = "" if self._sources.is_proxy(address) else address
        if source and not self._sources.enter(source):
            self._turned_away += 1
            sock.close()
            return
        self._let_in(sock, client, server, source)

    @property
    def _is_crowded(self) -> bool:
        return len(self._connections) >= self._bounds.connections

    def _has_made_room(self) -> bool:
        """Close the connection that has been idle for longest, where there is one."""
        idle = [
            connection
            for connection in self._connections
            if connection.state is State.READING and not connection.began
        ]
        if idle:
            self._close(min(idle, key=lambda connection: connection.deadline))
        return bool(idle)
