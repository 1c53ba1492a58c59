"""Agrees on TLS with new clients, in the loop's thread.

To answer a client's first bytes takes a signature, a millisecond or so: a crowd that only asks for
it must keep nobody waiting.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from server.gunicorn.connection import Connection, State
from server.gunicorn.poller import READ
from server.gunicorn.sources import address_of

# Steps of handshakes in one turn of the loop.
STEPS_A_TURN = 8


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
        self._waiting: dict[str, list[Connection]] = {}  # by source
        self._takes_last = False

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
        self._waiting.setdefault(address_of(connection.client), []).append(connection)

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
        source, connections = next(iter(self._waiting.items()))
        del self._waiting[source]
        self._takes_last = not self._takes_last
        connection = connections.pop(-1 if self._takes_last else 0)
        if connections:
            self._waiting[source] = connections
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
