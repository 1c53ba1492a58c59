"""An answer that goes on after its handler has returned, without a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from server.gunicorn.connection import READ, Connection, State

# What a client may leave unread of a stream (bytes); one that leaves more is closed.
STREAM_MAX_BYTES = 262_144
# A client of a stream that sends more than this is closed.
HELD_REST_BYTES = 65_536

_log = structlog.stdlib.get_logger("plexsphere.streams")


class Stream:
    """Made by ``environ[HOLD](on_gone)`` before the handler answers; the answer is its beginning.

    Any thread may write and close. ``on_gone`` is called once, by the loop's thread, when nothing
    more can be written: it must not wait for anything.
    """

    def __init__(
        self,
        connection: Connection,
        on_gone: Callable[[], None],
        changed: Callable[[Connection], None],
    ) -> None:
        """``changed`` tells the loop that there is something to send."""
        self._connection = connection
        self._on_gone = on_gone
        self._changed = changed
        self._lock = threading.Lock()
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._is_closed = False
        self._is_gone = False
        self.is_chunked = False  # how the answer's head frames it
        self.is_overrun = False  # the client left too much unread

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._is_closed

    def write(self, data: bytes) -> bool:
        """Queue bytes; never waits. False where the stream is closed, or closes by being full."""
        with self._lock:
            if self._is_closed:
                return False
            if self._bytes + self._connection.unsent + len(data) > STREAM_MAX_BYTES:
                self._is_closed = self.is_overrun = True
            elif data:
                self._pieces.append(data)
                self._bytes += len(data)
        self._changed(self._connection)
        return not self._is_closed

    def close(self) -> None:
        """End the answer once what was written is sent; harmless to repeat."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._changed(self._connection)

    # the loop's

    def take(self) -> tuple[bytes, bool]:
        """The framed bytes that must be sent next, and whether they are the last."""
        with self._lock:
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._bytes = 0
            is_last = self._is_closed
        if self.is_chunked and data:
            data = b"%X\r\n%s\r\n" % (len(data), data)
        if self.is_chunked and is_last:
            data += b"0\r\n\r\n"
        return data, is_last

    def connection_ended(self) -> None:
        """Nothing more can be written; the owner is called once."""
        with self._lock:
            was_gone, self._is_gone = self._is_gone, True
            self._is_closed = True
            self._pieces.clear()
        if not was_gone:
            try:
                self._on_gone()
            except Exception:
                _log.exception("stream_owner_failed")


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

    def begin(self, connection: Connection) -> None:
        """The head and the first bytes are written; the rest comes from the owner of the stream."""
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
        if mask & READ:
            data = connection.receive()
            connection.rest += len(data or b"")
            if data == b"" or connection.rest > HELD_REST_BYTES:
                self._close(connection)
                return
        if connection.unsent:
            self.send(connection)
