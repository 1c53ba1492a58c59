"""Answers that go on without a thread: written to from elsewhere, bounded, and ended by either."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.keys_of_tls import certificate_for_loopback
from tests.small_gunicorn import Served, small_gunicorn, to_the_end

MANY = 100  # many times the threads
HOLD = b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module", params=["plain", "tls"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gunicorn")
    certificate = certificate_for_loopback(folder) if request.param == "tls" else None
    with small_gunicorn(folder, {"THREADS": "8", "SEND_TIMEOUT": "1"}, certificate) as running:
        yield running


def body_of(served: Served, path: str) -> bytes:
    """The body of a request's answer."""
    with served.connect() as raw:
        raw.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
        return to_the_end(raw).partition(b"\r\n\r\n")[2]


def streaming_client(served: Served, request: bytes = HOLD) -> socket.socket:
    """A client that has had the beginning of its stream."""
    raw = served.connect()
    raw.sendall(request)
    read_until(raw, b"begun\n")
    return raw


def read_until(raw: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        piece = raw.recv(65_536)
        assert piece, received
        received += piece
    return received


def test_many_streams_hold_no_thread_and_hear_what_is_said(served: Served) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(streaming_client(served)) for _ in range(MANY)]
        assert body_of(served, "/say/hello") == b"1" * MANY
        for client in clients:
            assert read_until(client, b"hello\r\n").endswith(b"5\r\nhello\r\n")
        body_of(served, "/end")
        assert {to_the_end(client) for client in clients} == {b"0\r\n\r\n"}
    for _ in range(MANY):
        body_of(served, "/leaves")
    assert body_of(served, "/say/nobody") == b""


def test_the_owner_hears_that_a_client_is_gone(served: Served) -> None:
    with streaming_client(served):
        pass
    body_of(served, "/leaves")
    assert body_of(served, "/say/hello") == b""


def test_a_client_that_reads_nothing_is_closed_and_the_others_hear_on(served: Served) -> None:
    with streaming_client(served), streaming_client(served) as eager:
        while body_of(served, "/flood/200000") == b"11":
            read_until(eager, b"xx\r\n")
        body_of(served, "/leaves")
        assert body_of(served, "/say/still") == b"1"
        read_until(eager, b"still\r\n")
    body_of(served, "/leaves")


def test_a_client_of_http_1_0_has_bytes_without_frames(served: Served) -> None:
    with streaming_client(served, b"GET /hold HTTP/1.0\r\n\r\n") as raw:
        body_of(served, "/say/hello")
        body_of(served, "/end")
        assert to_the_end(raw) == b"hello"
    body_of(served, "/leaves")


def test_a_head_request_has_no_stream(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"HEAD /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        assert to_the_end(raw).endswith(b"\r\n\r\n")
    body_of(served, "/leaves")


def test_a_worker_that_stops_ends_its_streams(tmp_path: Path) -> None:
    with small_gunicorn(tmp_path, {"THREADS": "8"}) as served, streaming_client(served) as raw:
        served.process.terminate()
        assert to_the_end(raw) == b"0\r\n\r\n"
        assert served.process.wait(timeout=20) == 0
