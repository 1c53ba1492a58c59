"""A connection ends in order behind its last answer, however much was still to come."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from server.dev.stack import Stack
from tests.client import ask
from tests.heartbeats import heartbeat_path

PIECE = 65_536
LARGE = 64 * PIECE  # bytes, of which no operation takes so many
# gunicorn waited for this many seconds, in the loop that takes all connections.
LINGERED = 2.0


def connected(stack: Stack) -> socket.socket:
    target = urlsplit(stack.url)
    return socket.create_connection((target.hostname, target.port), timeout=20)


@pytest.mark.parametrize("pause", [0.0, 0.001], ids=["at once", "slowly"])
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize(
    ("target", "status"),
    [("GET /livez", 413), ("POST /v1/domains", 401), ("POST /nowhere", 404), ("PUT /livez", 405)],
    ids=str,
)
def test_who_sends_a_large_body_gets_the_refusal_of_it(
    stack: Stack, target: str, status: int, connection: str, pause: float
) -> None:
    head = f"{target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    head += f"Connection: {connection}\r\nContent-Length: {LARGE}\r\n\r\n"
    with connected(stack) as raw:
        raw.sendall(head.encode())
        for _ in range(0, LARGE, PIECE):
            raw.sendall(b"x" * PIECE)
            time.sleep(pause)
        assert raw.recv(PIECE).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_chunked_body_that_is_too_large_gets_its_413(stack: Stack) -> None:
    head = f"POST {heartbeat_path(stack.node_id)} HTTP/1.1\r\nHost: x\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    head += f"Authorization: {stack.headers['Authorization']}\r\n\r\n"
    with connected(stack) as raw:
        raw.sendall(head.encode())
        for _ in range(0, LARGE, PIECE):
            raw.sendall(b"%x\r\n%s\r\n" % (PIECE, b"x" * PIECE))
        assert raw.recv(PIECE).startswith(b"HTTP/1.1 413 ")


def test_a_batch_of_20_MB_that_no_release_takes_gets_its_501(stack: Stack) -> None:
    size = 20 * 1024 * 1024
    head = (
        f"POST /v1/nodes/{stack.node_id}/logs HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    )
    with connected(stack) as raw:
        raw.sendall(head.encode())
        raw.sendall(bytes(size))
        answer = raw.recv(PIECE)
    assert answer.startswith(b"HTTP/1.1 501 ") and b"observability_ingest_not_provisioned" in answer


def test_a_client_that_does_not_close_what_it_said_it_would_holds_up_nobody(stack: Stack) -> None:
    started = time.monotonic()
    with ExitStack() as resources:
        for _ in range(8):
            raw = resources.enter_context(connected(stack))
            raw.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert raw.recv(PIECE).startswith(b"HTTP/1.1 200 ")
        assert ask(stack.url, "/livez").status == 200
    assert time.monotonic() - started < 2 * LINGERED
