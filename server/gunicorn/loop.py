"""The loop that owns all connections of a worker, and waits for clients in place of threads.

A thread is given a whole request and writes its answer without waiting. Everything that a client
can be slow at happens here: the handshake, the head, the body, taking the answer, closing. The file
is long, because each step of a connection is followed by the next one here.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from gunicorn.http.errors import ParseException

from server.gunicorn.bounds import Bounds
from server.gunicorn.byte_limit import ByteLimit
from server.gunicorn.connection import READ, Connection, State
from server.gunicorn.framing import Incoming
from server.gunicorn.listeners import Listeners
from server.gunicorn.sources import Sources, address_of
from server.gunicorn.stream_sender import StreamSender

# Deadlines are kept this exactly (s).
SWEEP_SECONDS = 0.25

_log = structlog.stdlib.get_logger("plexsphere.connections")


class Loop:
    """Runs in the worker's main thread. Threads call ``finished`` and nothing else."""

    def __init__(
        self,
        cfg: Any,
        bounds: Bounds,
        listeners: Sequence[Any],
        tls: Any,
        hand_over: Callable[[Connection], None],
        refuse: Callable[[Connection, Exception], None],
    ) -> None:
        """``hand_over`` gives a whole request to a thread, ``refuse`` writes gunicorn's own answer.

        ``cfg`` is gunicorn's, ``tls`` an SSL context or None.
        """
        self.connections: set[Connection] = set()
        self._cfg = cfg
        self._bounds = bounds
        self._tls = tls
        self._hand_over = hand_over
        self._refuse = refuse
        self._poller = selectors.DefaultSelector()
        self._done: deque[Connection] = deque()
        self._changed: deque[Connection] = deque()  # by a stream
        self._wakes, self._woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poller.register(self._wakes, READ, self._drain_wakes)
        self._sleeping = False
        self._next_sweep = 0.0
        self._sources = Sources(bounds.source_connections, bounds.trusted_proxies)
        self._listeners = Listeners(
            listeners,
            self._poller,
            bounds,
            self._sources,
            self.connections,
            let_in=self._let_in,
            close=self._close,
        )
        self._streams = StreamSender(
            bounds.send_seconds,
            watch=self._watch,
            owe=self._owe,
            after_answer=self._after_answer,
            close=self._close,
        )
        self._unread = ByteLimit(  # what no thread has read yet
            bounds.unread_bytes,
            "unread_bytes_full",
            may_close=lambda connection: connection.state is State.READING,
            since=lambda connection: connection.began,
            close=self._close,
        )
        self._unsent = ByteLimit(  # what clients have not taken yet
            bounds.unsent_bytes,
            "unsent_bytes_full",
            may_close=lambda connection: True,
            since=lambda connection: connection.deadline,
            close=self._close,
        )
        self.is_stopping = False

    # threads and signal handlers

    def finished(self, connection: Connection) -> None:
        """A thread has answered. The loop is woken only where there is something left to do."""
        self._done.append(connection)
        # after the append: the loop marks a connection as paused before it looks at what is done
        if self._sleeping and (
            connection.unsent
            or connection.is_paused
            or connection.is_broken
            or not connection.may_go_on
            or connection.stream is not None
            or connection.incoming.buffer
            or self.is_stopping
        ):
            self.wake()

    def stream_changed(self, connection: Connection) -> None:
        """A stream has something to send, or ends; from any thread."""
        self._changed.append(connection)
        if self._sleeping:
            self.wake()

    def wake(self) -> None:
        """End the loop's sleep; from any thread and from signal handlers."""
        with contextlib.suppress(OSError):  # a full pipe wakes as well
            os.write(self._woken, b"\0")

    # the loop

    def turn(self) -> float:
        """Wait for something to happen and see to it; the monotonic time afterwards."""
        self._finish_done()
        self._sleeping = True
        wait = 0.0 if self._done or self._changed else max(0.0, self._next_sweep - time.monotonic())
        events = self._poller.select(wait)
        self._sleeping = False
        self._finish_done()
        for key, mask in events:
            key.data(mask)
        now = time.monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            self._sweep(now)
        return now

    def accept_connections(self, wanted: bool) -> None:
        """Let clients in, or leave them in the queue of their listener."""
        self._listeners.accept(wanted)

    def stop(self, idle_until: float) -> None:
        """Let nobody in any more; idle connections stay until then, for a request on its way."""
        self.is_stopping = True
        self.accept_connections(False)
        for connection in self.connections:
            if connection.state is State.READING:
                connection.deadline = min(connection.deadline, idle_until)
        streams = [each for each in self.connections if each.stream is not None]
        self._streams.stop(streams, self._bounds.stopping_streams_seconds)

    def close(self) -> None:
        """Close everything."""
        for connection in list(self.connections):
            self._close(connection)
        self._poller.close()
        os.close(self._wakes)
        os.close(self._woken)

    def _drain_wakes(self, mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakes, 4096)

    def _watch(self, connection: Connection, mask: int) -> None:
        if mask == connection.watched:
            return
        if not mask:
            self._poller.unregister(connection)
        elif connection.watched:
            self._poller.modify(connection, mask, connection.on_event)
        else:
            self._poller.register(connection, mask, connection.on_event)
        connection.watched = mask

    # connections

    def may_enter(self, connection: Connection) -> bool:
        """Whether the source of a request behind a proxy has not too many under way."""
        peer = address_of(connection.client)
        if not self._sources.is_proxy(peer):
            return True
        source = self._sources.source_of(peer, connection.request.headers)
        if not self._sources.enter(source):
            return False
        connection.source = source
        return True

    def _let_in(self, sock: socket.socket, client: Any, server: Any, source: str) -> None:
        connection = Connection(sock, client, server, Incoming(self._cfg, client))
        connection.source = source
        connection.on_event = lambda mask: self._on_event(connection, mask)
        connection.deadline = time.monotonic() + self._bounds.head_seconds
        self.connections.add(connection)
        if self._tls is not None:
            self._begin_tls(connection)
            return
        self._watch(connection, READ)
        self._read(connection)  # the request is often here already

    def _begin_tls(self, connection: Connection) -> None:
        connection.state = State.SHAKING_HANDS
        try:
            connection.sock = self._tls.wrap_socket(
                connection.sock, server_side=True, do_handshake_on_connect=False
            )
        except OSError:  # it left meanwhile
            self._close(connection)
            return
        self._watch(connection, READ)

    def _on_event(self, connection: Connection, mask: int) -> None:
        state = connection.state
        if state is State.READING:
            self._read(connection)
        elif state is State.ANSWERING:
            connection.is_paused = True
            self._watch(connection, 0)
        elif state is State.SENDING:
            self._send(connection)
        elif state is State.HELD:
            self._streams.on_event(connection, mask)
        elif state is State.LINGERING:
            self._read_past(connection)
        elif state is State.SHAKING_HANDS:
            self._shake_hands(connection)

    def _shake_hands(self, connection: Connection) -> None:
        try:
            if not connection.shake_hands():
                self._watch(connection, connection.wants)
                return
        except OSError:  # no TLS, or not one we speak
            self._close(connection)
            return
        connection.state = State.READING
        self._watch(connection, READ)
        self._read(connection)

    # requests

    @property
    def is_full(self) -> bool:
        """Whether requests that no thread has read take all the memory they may."""
        return self._unread.is_full

    def _read(self, connection: Connection) -> None:
        data = connection.receive()
        if data is None:
            return
        incoming = connection.incoming
        if not data:
            if incoming.request is None:
                self._close(connection)
            else:
                self._refuse_read(connection, ParseException("the body is not whole"))
            return
        now = connection.received = time.monotonic()
        if not connection.began:
            connection.began = now
            connection.deadline = now + self._bounds.head_seconds
        incoming.buffer += data
        self._go_on_reading(connection)

    def _refuse_read(self, connection: Connection, error: Exception) -> None:
        """Answer what is read so far, and nothing that may follow."""
        connection.state = State.ANSWERING
        self._refuse(connection, error)
        self._finish(connection)

    def _go_on_reading(self, connection: Connection) -> None:
        incoming = connection.incoming
        had_head = incoming.request is not None
        try:
            request = incoming.whole()
        except Exception as error:  # each kind of malformed head has its own
            self._refuse_read(connection, error)
            return
        if request is not None:
            connection.request = request
            connection.request_bytes = incoming.body_bytes
            connection.state = State.ANSWERING
            connection.deadline = connection.received + self._bounds.hung_seconds
            self._count_unread(connection)
            self._hand_over(connection)
            return
        self._count_unread(connection)
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

    def _count_unread(self, connection: Connection) -> None:
        self._unread.count(connection, len(connection.incoming.buffer) + connection.request_bytes)

    # answers

    def _finish_done(self) -> None:
        while self._done:
            self._finish(self._done.popleft())
        while self._changed:
            connection = self._changed.popleft()
            if connection.state is State.HELD:
                self._streams.send(connection)

    def _finish(self, connection: Connection) -> None:
        """Send what a thread has left of its answer; then the connection goes on or ends."""
        connection.request = None
        connection.request_bytes = 0
        connection.is_paused = False
        connection.answered = time.monotonic()
        self._count_unread(connection)
        if connection.stream is not None and connection.may_go_on and not connection.is_broken:
            self._streams.begin(connection)
            return
        connection.end_stream()
        if connection.source and self._sources.is_proxy(address_of(connection.client)):
            self._sources.leave(connection.source)
            connection.source = ""
        if connection.is_broken:
            self._close(connection)
        elif connection.unsent:
            connection.state = State.SENDING
            connection.deadline = connection.answered + self._bounds.send_seconds
            self._watch(connection, connection.wants)
            self._owe(connection)
        else:
            self._after_answer(connection)

    def _owe(self, connection: Connection) -> None:
        """Count what a client has not taken yet."""
        self._unsent.count(connection, connection.unsent)

    def _send(self, connection: Connection) -> None:
        try:
            connection.flush()
        except OSError:
            self._close(connection)
            return
        self._owe(connection)
        if connection.state is State.CLOSED:
            return
        if connection.unsent:
            self._watch(connection, connection.wants)
        else:
            self._after_answer(connection)

    def _after_answer(self, connection: Connection) -> None:
        if not connection.may_go_on:
            self._linger(connection)
            return
        connection.state = State.READING
        connection.began = 0.0
        idle = self._bounds.stopping_seconds if self.is_stopping else self._cfg.keepalive
        connection.deadline = connection.answered + idle
        self._watch(connection, READ)
        if connection.incoming.buffer:  # it sent the next request with the one before
            connection.began = connection.received = time.monotonic()
            connection.deadline = connection.began + self._bounds.head_seconds
            self._go_on_reading(connection)

    # the end of a connection

    def _linger(self, connection: Connection) -> None:
        """Read past what the client still sends, or the kernel would take our answer from it."""
        try:
            connection.say_that_was_all()
        except OSError:
            self._close(connection)
            return
        connection.state = State.LINGERING
        connection.incoming.buffer.clear()
        self._count_unread(connection)
        now = time.monotonic()
        connection.began = now
        connection.deadline = now + self._bounds.next_seconds
        self._watch(connection, READ)

    def _read_past(self, connection: Connection) -> None:
        data = connection.receive()
        if data is None:
            return
        connection.rest += len(data)
        if not data or connection.rest > self._bounds.rest_bytes:
            self._close(connection)
            return
        until = connection.began + self._bounds.rest_seconds
        connection.deadline = min(time.monotonic() + self._bounds.next_seconds, until)

    def _close(self, connection: Connection) -> None:
        self._watch(connection, 0)
        self._unread.count(connection, 0)
        if self._unsent.count(connection, 0):
            connection.reset()
        else:
            connection.close()
        connection.end_stream()
        if connection.source:
            self._sources.leave(connection.source)
            connection.source = ""
        self.connections.discard(connection)

    # time

    def _sweep(self, now: float) -> None:
        expired = [each for each in self.connections if each.deadline < now]
        for connection in expired:
            self._expire(connection, now)
        self._listeners.sweep(now, self.is_stopping)

    def _expire(self, connection: Connection, now: float) -> None:
        if connection.state is State.ANSWERING:
            self._look_at_thread(connection, now)
        elif connection.stream is not None and now >= connection.stream_ends_at:
            connection.stream.close()
        elif connection.state is State.READING and connection.began:
            self._refuse_read(connection, TimeoutError("the request took too long"))
        else:
            self._close(connection)

    def _look_at_thread(self, connection: Connection, now: float) -> None:
        """Say where a thread hangs: every wait of a request has a deadline far below this."""
        seconds = now - connection.started if connection.started else 0.0
        if seconds >= self._bounds.hung_seconds:
            frame = sys._current_frames().get(connection.thread)
            stack = traceback.extract_stack(frame)[-5:] if frame else ()
            _log.error(
                "thread_hung",
                path=connection.request.path,
                seconds=round(seconds),
                where=[f"{place.filename}:{place.lineno} {place.name}" for place in stack],
            )
        connection.deadline = now + self._bounds.hung_seconds
