"""Sends what the owners of streams have written, in the loop's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import inf
from random import uniform

from server.gunicorn.connection import Connection, State
from server.gunicorn.poller import READ, WRITE

# A client of a stream that sends more than this is closed.
HELD_REST_BYTES = 65_536
# How many a stopping worker ends, where their number allows it.
STREAMS_A_SECOND = 500


class StreamSender:
    """Sends what streams were given. Belongs to the loop: every method runs in its thread."""

    def __init__(
        self,
        send_seconds: float,
        *,
        watch: Callable[[Connection, int], None],
        owe: Callable[[Connection], None],
        after_answer: Callable[[Connection], None],
        close: Callable[[Connection], None],
    ) -> None:
        """The functions are the loop's; ``owe`` may close the connection.

        ``send_seconds``: how long a client may take nothing of what it was sent.
        """
        self._send_seconds = send_seconds
        self._watch = watch
        self._owe = owe
        self._after_answer = after_answer
        self._close = close
        self._is_stopping = False

    def stop(self, connections: Sequence[Connection], longest: float) -> None:
        """End the streams within ``longest`` seconds: their clients come back at once, and must not
        all be at the gates together. One that begins later ends after its beginning."""
        self._is_stopping = True
        seconds = min(longest, len(connections) / STREAMS_A_SECOND)
        now = time.monotonic()
        for connection in connections:
            connection.end_stream_at(now + uniform(0.0, seconds))

    def begin(self, connection: Connection) -> None:
        """The head and the first bytes are written; the rest comes from the owner of the stream."""
        if self._is_stopping and connection.stream is not None and connection.stream_ends_at == inf:
            connection.stream.close()
        connection.state = State.HELD
        connection.may_go_on = False
        connection.deadline = connection.stream_ends_at
        self.send(connection)

    def send(self, connection: Connection) -> None:
        """Send what the owner has written; after the last of it the connection ends."""
        stream = connection.stream
        assert stream is not None
        before = connection.unsent
        data, is_last = stream.take()
        try:
            connection.sendall(data)
        except OSError:
            connection.discard()
        if connection.is_broken or stream.is_overrun:
            self._close(connection)
            return
        self._owe(connection)
        if connection.state is State.CLOSED:
            return
        if not connection.unsent:
            connection.deadline = connection.stream_ends_at
        elif not 0 < before <= connection.unsent:  # it takes something, or has just begun not to
            connection.deadline = time.monotonic() + self._send_seconds
        if not is_last:
            self._watch(connection, READ | (connection.wants if connection.unsent else 0))
            return
        connection.end_stream()
        if connection.unsent:
            connection.state = State.SENDING
            self._watch(connection, connection.wants)
        else:
            self._after_answer(connection)

    def on_event(self, connection: Connection, mask: int) -> None:
        """Drop the bytes that a client sends meanwhile; its end is noticed."""
        if mask & ~WRITE:
            data = connection.receive()
            connection.rest += len(data or b"")
            if data == b"" or connection.rest > HELD_REST_BYTES:
                self._close(connection)
                return
        if connection.unsent:
            self.send(connection)
