"""Clients that leave much with us are closed, the slowest first, before others are turned away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.client import ask
from tests.small_gunicorn import Served, answer, small_gunicorn

MEBIBYTE = 1_048_576
MANY = 40
BODY = 60_000  # so that MANY of them are more than a mebibyte
ANSWER = 900_000  # MANY of them are twice what may be unsent, because the kernel takes a part
LEAST = {"UNREAD_BYTES": str(MEBIBYTE), "UNSENT_BYTES": str(16 * MEBIBYTE)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with small_gunicorn(tmp_path_factory.mktemp("gunicorn"), {"THREADS": "8", **LEAST}) as running:
        yield running


def is_over(raw: socket.socket) -> bool:
    """Whether the server has ended the connection, for which it waits."""
    try:
        return raw.recv(1) == b""
    except ConnectionResetError:
        return True


def test_bodies_that_take_longest_make_room_for_those_that_come_at_once(served: Served) -> None:
    """The first is read before the others come, and the last after: those that come at once are
    read in no order of theirs."""
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % (BODY + 1)
    with ExitStack() as resources:
        clients = [resources.enter_context(served.connect()) for _ in range(MANY)]
        clients[0].sendall(head + b"Expect: 100-continue\r\n\r\n")
        assert clients[0].recv(1_024).startswith(b"HTTP/1.1 100")
        clients[0].sendall(b"x" * BODY)
        for client in clients[1:-1]:
            client.sendall(head + b"\r\n" + b"x" * BODY)
        assert is_over(clients[0])
        clients[-1].sendall(head + b"\r\n" + b"x" * BODY)
        assert ask(served.url, "/body", method="POST", body=b"y" * BODY).body == b"y" * BODY
        clients[-1].sendall(b"x")
        assert answer(clients[-1]).endswith(b"x" * (BODY + 1))
    assert "unread_bytes_full" in served.log.read_text()


def test_answers_that_are_not_taken_make_room_for_others(served: Served) -> None:
    with ExitStack() as resources:
        clients = []
        for _ in range(MANY):
            raw = resources.enter_context(socket.socket())
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
            raw.settimeout(20)
            raw.connect(("127.0.0.1", served.port))
            raw.sendall(b"GET /size/%d HTTP/1.1\r\nHost: x\r\n\r\n" % ANSWER)
            clients.append(raw)
        while "unsent_bytes_full" not in served.log.read_text():
            assert len(ask(served.url, f"/size/{ANSWER}").body) == ANSWER
        assert ask(served.url, "/").status == 200
