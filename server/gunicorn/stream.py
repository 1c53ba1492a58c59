"""An answer that goes on after its handler has returned, without a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

# What a client may leave unread of a stream, besides its beginning (bytes); one that leaves more is
# closed.
STREAM_MAX_BYTES = 262_144
# What the kernel may have of it (bytes; it doubles this); without a bound it takes megabytes.
STREAM_KERNEL_BYTES = 65_536

_log = structlog.stdlib.get_logger("plexsphere.streams")


class Stream:
    """Made by ``environ[HOLD](on_gone)`` before the handler answers; the answer is its beginning.

    Any thread may write and close. ``on_gone`` is called once, by the loop's thread, when nothing
    more can be written: it must not wait for anything.
    """

    def __init__(
        self,
        on_gone: Callable[[], None],
        *,
        changed: Callable[[], None],
        unsent: Callable[[], int],
    ) -> None:
        """``changed`` tells the loop that there is something to send; ``unsent`` is the number of
        bytes that the client has yet to take."""
        self._on_gone = on_gone
        self._changed = changed
        self._unsent = unsent
        self._lock = threading.Lock()
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._is_closed = False
        self._is_gone = False
        self.beginning = 0  # bytes of the answer that it goes on with
        self.is_chunked = False  # how the answer's head frames it
        self.is_overrun = False  # the client left too much unread

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._is_closed

    @property
    def unread(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._bytes + self._unsent()

    def write(self, data: bytes) -> bool:
        """Queue bytes; never waits. False where the stream is closed, or closes by being full."""
        with self._lock:
            if self._is_closed:
                return False
            if self.unread + len(data) > self.beginning + STREAM_MAX_BYTES:
                self._is_closed = self.is_overrun = True
            elif data:
                self._pieces.append(data)
                self._bytes += len(data)
        self._changed()
        return not self._is_closed

    def close(self) -> None:
        """End the answer once what was written is sent; harmless to repeat."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._changed()

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
