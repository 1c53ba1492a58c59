"""One client: its socket, the bytes it has sent, and the bytes it has yet to take."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import ssl
import struct
from collections import deque
from enum import Enum, auto
from itertools import islice
from typing import Any

from server.gunicorn.framing import Incoming
from server.gunicorn.poller import READ, WRITE
from server.gunicorn.stream import Stream

# What one read takes; a TLS record is smaller.
READ_BYTES = 65_536
# The most pieces of one call.
PIECES = 64
# TLS makes a record of each piece it gets, however small, so small pieces are joined up to this
# size. It must be offered the same bytes again, so it gets no more of a large one either.
TLS_PIECE_BYTES = 65_536
# The largest answer that a client may leave with us: agents take 10 MiB.
UNSENT_MAX_BYTES = 16 * 1024 * 1024


class State(Enum):
    """The event that a connection waits for."""

    SHAKING_HANDS = auto()  # TLS
    READING = auto()  # the rest of a request, or its first byte
    ANSWERING = auto()  # a thread, or what a thread makes of it
    SENDING = auto()  # a client that takes its answer
    LINGERING = auto()  # the end of what the client still sends
    HELD = auto()  # whatever a stream is given
    CLOSED = auto()


class Connection:
    """Belongs to the loop, but for ``ANSWERING``: then a thread writes to it.

    To gunicorn it is the socket an answer is written to. Writing never waits: what the kernel does
    not take is kept, and the loop sends it later.
    """

    def __init__(self, sock: socket.socket, client: Any, server: Any, incoming: Incoming) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.client = client
        self.server = server
        self.incoming = incoming
        self.state = State.READING
        self.deadline = 0.0  # monotonic seconds; what happens then depends on the state
        self.began = 0.0  # the first byte of the request under way
        self.received = 0.0  # its last byte
        self.answered = 0.0  # the end of the answer before it
        self.started = 0.0  # a thread has had it since then; 0 while none has
        self.thread = 0  # which one
        self.source = ""  # what it is counted under; empty where nothing is
        self.request: Any = None
        self.stream: Stream | None = None  # what an answer goes on with
        self.stream_ends_at = math.inf  # when a stopping worker ends it
        self.request_bytes = 0  # of its body
        self.watched = 0  # what the poller is asked for
        self.wants = WRITE  # what the unsent bytes wait for: TLS may have to read first
        self.is_unparsed = False  # its head waits for its turn
        self.is_paused = False  # it became readable while a thread had it
        self.is_broken = False  # nothing more can be sent
        self.may_be_refused = False  # the contract has 503 `overloaded` for it
        self.may_go_on = False  # another request may follow the answer
        self.rest = 0  # bytes read past while lingering
        self.unsent = 0
        self._outgoing: deque[memoryview] = deque()
        self._holds_head = False

    def fileno(self) -> int:
        return self.sock.fileno()

    def receive(self) -> bytes | None:
        """Bytes that the client has sent; empty when it has left, None when there are none yet."""
        try:
            return self.sock.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""

    def shake_hands(self) -> bool:
        """Whether TLS is agreed on; ``wants`` says what is waited for. Raises OSError."""
        try:
            self.sock.do_handshake()  # type: ignore[attr-defined]
        except ssl.SSLWantReadError:
            self.wants = READ
        except ssl.SSLWantWriteError:
            self.wants = WRITE
        else:
            return True
        return False

    def has_left(self) -> bool:
        """Whether the client has closed its side."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        return bool(poll.poll(0))

    def begin_answer(self) -> None:
        """The first piece, which is the head, waits for the second."""
        self._holds_head = True

    def sendall(self, *pieces: bytes | memoryview) -> None:
        """Send or keep, without a copy. Raises ConnectionAbortedError where a client leaves too
        much with us."""
        for piece in pieces:
            self._outgoing.append(memoryview(piece))
            self.unsent += len(piece)
        if self._holds_head and len(self._outgoing) == 1:
            return
        self.flush()
        if self.unsent > UNSENT_MAX_BYTES:
            self.discard()
            raise ConnectionAbortedError("too many bytes unsent")

    send = sendall

    def flush(self) -> None:
        """Send what the kernel takes now. Raises OSError where the client is gone."""
        self._holds_head = False
        try:
            while self._outgoing:
                self._send_some()
        except (BlockingIOError, ssl.SSLWantWriteError):
            self.wants = WRITE
        except ssl.SSLWantReadError:
            self.wants = READ
        except OSError:
            self.discard()
            raise

    def _send_some(self) -> None:
        if isinstance(self.sock, ssl.SSLSocket):
            self._join_first()
            sent = self.sock.send(self._outgoing[0][:TLS_PIECE_BYTES])
        else:
            sent = self.sock.sendmsg(islice(self._outgoing, PIECES))
        self.unsent -= sent
        while self._outgoing and sent >= len(self._outgoing[0]):
            sent -= len(self._outgoing.popleft())
        if sent:
            self._outgoing[0] = self._outgoing[0][sent:]

    def _join_first(self) -> None:
        """Join the first pieces, as far as they are sent at once."""
        missing = TLS_PIECE_BYTES - len(self._outgoing[0])
        if missing <= 0 or len(self._outgoing) == 1:
            return
        first = [self._outgoing.popleft()]
        while self._outgoing and missing > 0:
            piece = self._outgoing.popleft()
            first.append(piece[:missing])
            if len(piece) > missing:
                self._outgoing.appendleft(piece[missing:])
            missing -= len(first[-1])
        self._outgoing.appendleft(memoryview(b"".join(first)))

    def discard(self) -> None:
        """Nothing more is sent."""
        self._outgoing.clear()
        self.unsent = 0
        self.is_broken = True

    def end_stream(self) -> None:
        """Let the owner of the stream know that nothing more can be written."""
        if self.stream is not None:
            self.stream.connection_ended()
            self.stream = None

    def end_stream_at(self, moment: float) -> None:
        """The worker stops: what an answer goes on with ends then."""
        self.stream_ends_at = moment
        self.deadline = min(self.deadline, moment)

    def half_close(self) -> None:
        """Send nothing more. Raises OSError where the client is gone."""
        if isinstance(self.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):  # without a wait for the client's
                self.sock.unwrap()
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close, and let the kernel forget what it holds for a client that does not take it."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close for good; harmless to repeat."""
        self.state = State.CLOSED
        self.sock.close()

    # gunicorn's error page is written with these around it
    def gettimeout(self) -> float:
        return 0.0
