"""Agrees on TLS with new clients, in the loop's thread.

To answer a client's first bytes takes a signature, a millisecond or so: a crowd that only asks for
it must keep nobody waiting.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from server.gunicorn.connection import Connection, State
from server.gunicorn.poller import READ
from server.gunicorn.sources import address_of

# Steps of handshakes in one turn of the loop.
STEPS_A_TURN = 8


@dataclass(slots=True)
class SourceQueue:
    """The clients of a source that wait for a step."""

    waiting: deque[Connection] = field(default_factory=deque)
    takes_last: bool = True

    def next(self) -> Connection:
        """The one that sent last, then the one that sent first, by turns."""
        connection = self.waiting.pop() if self.takes_last else self.waiting.popleft()
        self.takes_last = not self.takes_last
        return connection


class Handshakes:
    """Sources take turns. Of each source the client that sent last and the one that sent first are
    next by turns: in a crowd that is too large, those who wait for long give up."""

    def __init__(
        self,
        tls: ssl.SSLContext,
        *,
        watch: Callable[[Connection, int], None],
        read: Callable[[Connection], None],
        close: Callable[[Connection], None],
    ) -> None:
        """``read`` gets a connection that TLS is agreed on with."""
        self._tls = tls
        self._watch = watch
        self._read = read
        self._close = close
        self._waiting: dict[str, SourceQueue] = {}  # by source

    @property
    def has_more(self) -> bool:
        """Whether clients wait for a step."""
        return bool(self._waiting)

    def begin(self, connection: Connection) -> None:
        """A new client."""
        connection.state = State.SHAKING_HANDS
        try:
            connection.sock = self._tls.wrap_socket(
                connection.sock, server_side=True, do_handshake_on_connect=False
            )
        except OSError:  # it left meanwhile
            self._close(connection)
            return
        self._watch(connection, READ)

    def queue(self, connection: Connection) -> None:
        """A client has sent something, or may be sent something."""
        self._watch(connection, 0)
        source = address_of(connection.client)
        self._waiting.setdefault(source, SourceQueue()).waiting.append(connection)

    def step(self) -> None:
        """Go on with those whose turn it is."""
        left = STEPS_A_TURN
        while self._waiting and left:
            connection = self._next()
            if connection.state is not State.SHAKING_HANDS:
                continue
            if connection.has_left():
                self._close(connection)
            else:
                left -= 1
                self._shake_hands(connection)

    def _next(self) -> Connection:
        source = next(iter(self._waiting))
        queue = self._waiting.pop(source)
        connection = queue.next()
        if queue.waiting:
            self._waiting[source] = queue
        return connection

    def _shake_hands(self, connection: Connection) -> None:
        try:
            is_agreed = connection.shake_hands()
        except OSError:  # no TLS, or not one we speak
            self._close(connection)
            return
        if is_agreed:
            connection.state = State.READING
            self._watch(connection, READ)
            self._read(connection)
        else:
            self._watch(connection, connection.wants)
