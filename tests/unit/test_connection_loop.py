"""The loop without free descriptors, with a crowd, and with a thread that does not return."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest
import structlog
from gunicorn.config import Config

from server.events.streams import MISSED_BYTES
from server.gunicorn.bounds import Bounds
from server.gunicorn.connection import Connection, State
from server.gunicorn.framing import Incoming
from server.gunicorn.listeners import ACCEPT_PAUSE_SECONDS
from server.gunicorn.loop import MOST_OF_A_TURN, Loop
from server.gunicorn.reader import BYTES_A_HEAD, BYTES_A_TURN
from server.gunicorn.stream import STREAM_MAX_BYTES, Stream
from server.settings import Settings

CLIENT = ("127.0.0.1", 4000)
HEAD = b"GET /v1/nodes/a/state HTTP/1.1\r\n\r\n"
HEADS = -(-BYTES_A_TURN // (BYTES_A_HEAD + len(HEAD)))  # that one turn parses


class Listener:
    """A listener whose accept fails as it is told, once."""

    def __init__(self, error: int) -> None:
        self.error: int | None = error
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.accepted = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def setblocking(self, wanted: bool) -> None:
        self._socket.setblocking(wanted)

    def getsockname(self) -> Any:
        return self._socket.getsockname()

    def accept(self) -> Any:
        if self.error is not None:
            error, self.error = self.error, None
            raise OSError(error, "planted")
        accepted = self._socket.accept()
        self.accepted += 1
        return accepted

    def close(self) -> None:
        self._socket.close()


def loop_of(
    bounds: Bounds,
    *listeners: Any,
    hand_over: Callable[[Connection], None] = lambda connection: None,
) -> Loop:
    return Loop(Config(), bounds, listeners, None, hand_over, lambda connection, error: None)


@contextmanager
def crowd_of(listener: Any, count: int) -> Iterator[list[socket.socket]]:
    """So many connected clients."""
    with ExitStack() as clients:
        place = listener.getsockname()
        yield [clients.enter_context(socket.create_connection(place)) for _ in range(count)]


@pytest.fixture(params=[errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def exhausted(request: pytest.FixtureRequest) -> Iterator[Listener]:
    listener = Listener(request.param)
    yield listener
    listener.close()


def test_no_descriptor_left_is_a_pause_and_no_end(exhausted: Listener) -> None:
    loop = loop_of(Settings().bounds, exhausted)
    loop.accept_connections()
    with socket.create_connection(exhausted.getsockname()):
        with structlog.testing.capture_logs() as logs:
            loop.turn()
        assert [line["event"] for line in logs] == ["accept_paused"]
        until = time.monotonic() + 20 * ACCEPT_PAUSE_SECONDS
        while not exhausted.accepted and time.monotonic() < until:
            loop.turn()
        assert exhausted.accepted == 1
    loop.close()


def test_at_the_most_connections_an_idle_one_makes_room_and_a_busy_one_does_not() -> None:
    listener = Listener(0)
    listener.error = None
    loop = loop_of(replace(Settings().bounds, connections=2), listener)
    loop.accept_connections()
    clients = []
    for expected in (1, 2, 2):
        clients.append(socket.create_connection(listener.getsockname(), timeout=10))
        while listener.accepted < len(clients):
            loop.turn()
        assert len(loop.connections) == expected
        loop._listeners.look()  # as in a crowd; nobody waits, so nobody makes room
        assert len(loop.connections) == expected
    assert clients[0].recv(1) == b""
    for client in clients[1:]:
        client.sendall(b"GET / HT")
        loop.turn()
    clients.append(socket.create_connection(listener.getsockname(), timeout=10))
    loop.turn()
    assert (listener.accepted, len(loop.connections)) == (3, 2)
    for client in clients:
        client.close()
    loop.close()
    listener.close()


def test_an_accept_that_fails_otherwise_is_a_fault() -> None:
    listener = Listener(errno.EBADF)
    loop = loop_of(Settings().bounds, listener)
    loop.accept_connections()
    with socket.create_connection(listener.getsockname()), pytest.raises(OSError):
        loop.turn()
    loop.close()
    listener.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1_000) as listener:
        yield listener


def test_a_probe_waits_for_no_crowd(listener: socket.socket) -> None:
    handed: list[str] = []
    loop = loop_of(
        Settings().bounds, listener, hand_over=lambda each: handed.append(each.request.path)
    )
    loop.accept_connections()
    with crowd_of(listener, HEADS + 10) as crowd, crowd_of(listener, 1) as (probe,):
        while len(loop.connections) < len(crowd) + 1:
            loop.turn()
        for client in crowd:
            client.sendall(HEAD)
        probe.sendall(b"GET /livez HTTP/1.1\r\n\r\n")
        loop.turn()
        assert (handed[0], len(handed)) == ("/livez", 1 + HEADS)
        loop.turn()
        assert len(handed) == 1 + len(crowd)
        loop.close()


def test_a_client_that_leaves_behind_a_crowd_has_its_request_handed_over(
    listener: socket.socket,
) -> None:
    handed: list[str] = []
    loop = loop_of(
        Settings().bounds, listener, hand_over=lambda each: handed.append(each.request.path)
    )
    loop.accept_connections()
    with crowd_of(listener, HEADS) as crowd, crowd_of(listener, 1) as (last,):
        for client in crowd:
            client.sendall(HEAD)
        last.sendall(b"GET /last HTTP/1.1\r\n\r\n")
        last.shutdown(socket.SHUT_WR)
        while len(handed) < len(crowd) + 1:
            loop.turn()
        assert "/last" in handed
        loop.close()


def test_a_crowd_that_is_late_does_not_keep_a_turn(listener: socket.socket) -> None:
    loop = loop_of(replace(Settings().bounds, head_seconds=0.0), listener)
    loop.accept_connections()
    with crowd_of(listener, MOST_OF_A_TURN + 10) as crowd:
        until = time.monotonic() + 20
        while len(loop.connections) < len(crowd) and time.monotonic() < until:
            loop._next_sweep = time.monotonic() + 60
            loop.turn()
        loop._next_sweep = 0.0
        loop.turn()
        assert len(loop.connections) == 10
        loop.turn()
        assert not loop.connections
        loop.close()


def test_a_thread_that_hangs_is_said_with_its_request_and_its_place() -> None:
    loop = loop_of(replace(Settings().bounds, hung_seconds=0.0))
    ours, client = socket.socketpair()
    with ours, client:
        incoming = Incoming(Config(), CLIENT)
        connection = Connection(ours, CLIENT, CLIENT, incoming)
        incoming.buffer += HEAD
        connection.request = incoming.whole()
        connection.state = State.ANSWERING
        connection.started = 1e-9
        connection.thread = threading.get_ident()
        loop.connections.add(connection)
        with structlog.testing.capture_logs() as logs:
            loop.turn()
    (line,) = logs
    assert (line["event"], line["path"]) == ("thread_hung", "/v1/nodes/a/state")
    assert any(__file__ in place for place in line["where"])


def test_a_stream_that_was_opened_while_the_worker_stops_ends_after_its_beginning() -> None:
    loop = loop_of(Settings().bounds)
    loop.stop(idle_until=0.0)
    ours, client = socket.socketpair()
    with ours, client:
        connection = Connection(ours, CLIENT, CLIENT, Incoming(Config(), CLIENT))
        connection.state = State.ANSWERING
        connection.stream = Stream(lambda: None, changed=lambda: None, unsent=lambda: 0)
        connection.may_go_on = True
        connection.sendall(b"begun")
        loop.connections.add(connection)
        loop.finished(connection)
        loop.turn()
        assert connection.state is State.LINGERING
        assert client.recv(64) == b"begun"
        loop.close()


def test_what_an_answer_begins_with_is_not_counted_as_unread() -> None:
    """A client that resumes is sent what it missed, which may be more than it may leave unread."""
    stream = Stream(lambda: None, changed=lambda: None, unsent=lambda: MISSED_BYTES)
    stream.beginning = MISSED_BYTES
    assert stream.write(b"x" * STREAM_MAX_BYTES)
    assert not stream.write(b"x") and stream.is_overrun
