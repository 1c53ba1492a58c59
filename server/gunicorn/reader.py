"""Reads requests until they are whole, in the loop's thread."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable

from gunicorn.http.errors import ParseException

from server.gunicorn.bounds import Bounds
from server.gunicorn.byte_limit import ByteLimit
from server.gunicorn.connection import Connection, State

# The bytes that one turn parses, where each head counts as some more than it has. To parse a
# request takes ten times what receiving it takes, so a crowd is received first, and waits.
BYTES_A_TURN = 131_072
BYTES_A_HEAD = 1_024
# These wait for no crowd.
PROBES = (b"GET /livez ", b"GET /readyz ", b"HEAD /livez ", b"HEAD /readyz ")


class Reader:
    """Belongs to the loop: every method runs in its thread."""

    def __init__(
        self,
        bounds: Bounds,
        *,
        hand_over: Callable[[Connection], None],
        refuse: Callable[[Connection, Exception], None],
        close: Callable[[Connection], None],
    ) -> None:
        """``hand_over`` gets a connection with a whole request. ``refuse`` answers what is read so
        far, and nothing that may follow."""
        self._bounds = bounds
        self._hand_over = hand_over
        self._refuse = refuse
        self._close = close
        self._unparsed: deque[Connection] = deque()
        self._unread = ByteLimit(  # what no thread has read yet
            bounds.unread_bytes,
            "unread_bytes_full",
            may_close=lambda connection: connection.state is State.READING,
            since=lambda connection: connection.began,
            close=close,
        )

    @property
    def is_full(self) -> bool:
        """Whether requests that no thread has read take all the memory they may."""
        return self._unread.is_full

    @property
    def has_more(self) -> bool:
        """Whether heads wait to be parsed."""
        return bool(self._unparsed)

    def read(self, connection: Connection) -> None:
        """Receive what the client has sent."""
        data = connection.receive()
        if data is None:
            return
        incoming = connection.incoming
        if not data:
            self._read_the_end(connection)
            return
        now = connection.received = time.monotonic()
        if not connection.began:
            connection.began = now
            connection.deadline = now + self._bounds.head_seconds
        incoming.buffer += data
        if incoming.request is not None or incoming.buffer.startswith(PROBES):
            self._parse(connection)
        else:
            self._queue(connection)

    def read_next(self, connection: Connection) -> None:
        """A client has sent its next request with the one before."""
        connection.began = connection.received = time.monotonic()
        connection.deadline = connection.began + self._bounds.head_seconds
        self._queue(connection)

    def parse(self) -> None:
        """Parse the heads whose turn it is."""
        left = BYTES_A_TURN
        while self._unparsed and left > 0:
            connection = self._unparsed.popleft()
            left -= BYTES_A_HEAD + len(connection.incoming.buffer)
            if connection.is_unparsed and connection.state is State.READING:
                self._parse(connection)

    def count(self, connection: Connection) -> None:
        """Note the memory that a connection's requests take now."""
        self._unread.count(connection, len(connection.incoming.buffer) + connection.request_bytes)

    def forget(self, connection: Connection) -> None:
        """Count nothing more for a connection that is closed."""
        self._unread.count(connection, 0)

    def _queue(self, connection: Connection) -> None:
        if not connection.is_unparsed:
            connection.is_unparsed = True
            self._unparsed.append(connection)
        self.count(connection)

    def _read_the_end(self, connection: Connection) -> None:
        """A client that sends nothing more has an answer to what it sent before."""
        if connection.is_unparsed:
            self._parse(connection)
        if connection.state is not State.READING:
            return
        if connection.incoming.request is None:
            self._close(connection)
        else:
            self._refuse(connection, ParseException("the body is not whole"))

    def _parse(self, connection: Connection) -> None:
        connection.is_unparsed = False
        incoming = connection.incoming
        had_head = incoming.request is not None
        try:
            request = incoming.whole()
        except Exception as error:  # each kind of malformed head has its own
            self._refuse(connection, error)
            return
        if request is not None:
            connection.request = request
            connection.request_bytes = incoming.body_bytes
            connection.state = State.ANSWERING
            connection.deadline = connection.received + self._bounds.hung_seconds
            self.count(connection)
            self._hand_over(connection)
            return
        self.count(connection)
        if incoming.request is None:
            return
        if not had_head:
            connection.began = connection.received
            if incoming.request._expected_100_continue:
                self._invite_body(connection)
        self._set_body_deadline(connection)

    def _invite_body(self, connection: Connection) -> None:
        """The head is well-formed and what it declares is not too large, or it was handed over."""
        with contextlib.suppress(OSError):  # a client that left is seen at the next read
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _set_body_deadline(self, connection: Connection) -> None:
        earned = len(connection.incoming.buffer) / self._bounds.body_rate
        seconds = min(self._bounds.body_grace_seconds + earned, self._bounds.body_seconds)
        connection.deadline = connection.began + seconds
