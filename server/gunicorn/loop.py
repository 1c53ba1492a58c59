"""The loop that owns all connections of a worker, and waits for clients in place of threads.

A thread is given a whole request and writes its answer without waiting. Everything that a client
can be slow at happens here: the handshake (handshakes.py), the request (reader.py), taking the
answer, closing.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import structlog

from server.gunicorn.bounds import Bounds
from server.gunicorn.byte_limit import ByteLimit
from server.gunicorn.connection import Connection, State
from server.gunicorn.framing import Incoming
from server.gunicorn.handshakes import Handshakes
from server.gunicorn.listeners import Listeners
from server.gunicorn.poller import MOST_EVENTS, READ, Poller
from server.gunicorn.reader import Reader
from server.gunicorn.sources import Sources, address_of
from server.gunicorn.stream_sender import StreamSender

# Deadlines are kept this exactly (s).
SWEEP_SECONDS = 0.25
# Streams that are sent to, and deadlines that are seen to, in one turn: a crowd of them must not
# keep others waiting.
MOST_OF_A_TURN = 64

_log = structlog.stdlib.get_logger("plexsphere.connections")


class Loop:
    """Runs in the worker's main thread. Threads call ``finished`` and nothing else."""

    def __init__(
        self,
        cfg: Any,
        bounds: Bounds,
        listeners: Sequence[Any],
        tls: ssl.SSLContext | None,
        hand_over: Callable[[Connection], None],
        refuse: Callable[[Connection, Exception], None],
    ) -> None:
        """``hand_over`` gives a whole request to a thread, ``refuse`` writes gunicorn's own answer.

        ``cfg`` is gunicorn's, ``tls`` an SSL context or None.
        """
        self.connections: set[Connection] = set()
        self._cfg = cfg
        self._bounds = bounds
        self._refuse = refuse
        self._poller = Poller()
        self.wake = self._poller.wake
        self._done: deque[Connection] = deque()
        self._changed: deque[Connection] = deque()  # by a stream
        self._sleeping = False
        self._next_sweep = 0.0
        self._sources = Sources(bounds.source_connections, bounds.trusted_proxies)
        self._listeners = Listeners(
            sockets=listeners,
            poller=self._poller,
            bounds=bounds,
            sources=self._sources,
            connections=self.connections,
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
        self._reader = Reader(
            bounds, hand_over=hand_over, refuse=self._refuse_read, close=self._close
        )
        self._handshakes = (
            None
            if tls is None
            else Handshakes(tls, watch=self._watch, read=self._reader.read, close=self._close)
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

    # the loop

    def turn(self) -> float:
        """Wait for something to happen and see to it; the monotonic time afterwards."""
        self._finish_done()
        self._sleeping = True
        is_due = self._done or self._changed or self._reader.has_more or self._are_shaking_hands
        next_moment = min(self._next_sweep, self._listeners.accepts_from)
        events = self._poller.wait(0.0 if is_due else max(0.0, next_moment - time.monotonic()))
        self._sleeping = False
        self._finish_done()
        if len(events) == MOST_EVENTS:  # new clients must not wait behind many others
            self._listeners.look()
        for on_event, mask in events:
            on_event(mask)
        self._reader.parse()
        if self._handshakes is not None:
            self._handshakes.step()
        now = time.monotonic()
        if now >= self._listeners.accepts_from:
            self._listeners.begin()
        if now >= self._next_sweep:
            self._sweep(now)
        return now

    @property
    def _are_shaking_hands(self) -> bool:
        return self._handshakes is not None and self._handshakes.has_more

    def accept_connections(self) -> None:
        """Let clients in."""
        self._listeners.begin()

    def stop(self, idle_until: float) -> None:
        """Let nobody in any more; idle connections stay until then, for a request on its way."""
        self.is_stopping = True
        self._listeners.end()
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

    def _watch(self, connection: Connection, mask: int) -> None:
        if mask == connection.watched:
            return
        if not mask:
            self._poller.unregister(connection.fileno())
        elif connection.watched:
            self._poller.modify(connection.fileno(), mask)
        else:
            on_event = partial(self._on_event, connection)
            self._poller.register(connection.fileno(), mask, on_event)
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
        connection = Connection(
            sock=sock, client=client, server=server, incoming=Incoming(self._cfg, client)
        )
        connection.source = source
        connection.deadline = time.monotonic() + self._bounds.head_seconds
        self.connections.add(connection)
        if self._handshakes is not None:
            self._handshakes.begin(connection)
            return
        self._watch(connection, READ)
        self._reader.read(connection)  # the request is often here already

    def _on_event(self, connection: Connection, mask: int) -> None:
        state = connection.state
        if state is State.READING:
            self._reader.read(connection)
        elif state is State.ANSWERING:
            connection.is_paused = True
            self._watch(connection, 0)
        elif state is State.SENDING:
            self._send(connection)
        elif state is State.HELD:
            self._streams.on_event(connection, mask)
        elif state is State.LINGERING:
            self._read_past(connection)
        elif state is State.SHAKING_HANDS and self._handshakes is not None:
            self._handshakes.queue(connection)

    # requests

    @property
    def is_full(self) -> bool:
        """Whether requests that no thread has read take all the memory they may."""
        return self._reader.is_full

    def _refuse_read(self, connection: Connection, error: Exception) -> None:
        """Answer what is read so far, and nothing that may follow."""
        connection.state = State.ANSWERING
        self._refuse(connection, error)
        self._finish(connection)

    # answers

    def _finish_done(self) -> None:
        while self._done:
            self._finish(self._done.popleft())
        for _ in range(min(MOST_OF_A_TURN, len(self._changed))):
            connection = self._changed.popleft()
            if connection.state is State.HELD:
                self._streams.send(connection)

    def _finish(self, connection: Connection) -> None:
        """Send what a thread has left of its answer; then the connection goes on or ends."""
        connection.request = None
        connection.request_bytes = 0
        connection.is_paused = False
        connection.answered = time.monotonic()
        self._reader.count(connection)
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
            self._reader.read_next(connection)

    # the end of a connection

    def _linger(self, connection: Connection) -> None:
        """Discard the rest of the request: otherwise the kernel resets, and the answer is lost."""
        try:
            connection.half_close()
        except OSError:
            self._close(connection)
            return
        connection.state = State.LINGERING
        connection.incoming.buffer.clear()
        self._reader.count(connection)
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
        self._reader.forget(connection)
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
        expired = (each for each in self.connections if each.deadline < now)
        some = list(islice(expired, MOST_OF_A_TURN))
        for connection in some:
            self._expire(connection, now)
        if len(some) < MOST_OF_A_TURN:
            self._next_sweep = now + SWEEP_SECONDS
            self._listeners.log_refused_clients()

    def _expire(self, connection: Connection, now: float) -> None:
        if connection.is_unparsed:  # it waits for us
            connection.deadline = now + SWEEP_SECONDS
        elif connection.state is State.ANSWERING:
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
