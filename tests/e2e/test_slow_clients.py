"""No client keeps others from being served: a thread has a whole request."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.keys_of_tls import certificate_for_loopback
from tests.small_gunicorn import (
    Served,
    answer,
    is_served,
    small_gunicorn,
    status,
    to_the_end,
)

MANY = 48  # several times the threads
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
LARGE = 2_000_000  # bytes: more than the kernel takes of a client that reads little
SETTINGS = {"THREADS": "8", "HEAD_TIMEOUT": "2", "SEND_TIMEOUT": "2"}


@pytest.fixture(scope="module", params=["plain", "tls"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("gunicorn")
    certificate = certificate_for_loopback(folder) if request.param == "tls" else None
    with small_gunicorn(folder, SETTINGS, certificate) as running:
        yield running


def reads_little(served: Served) -> socket.socket:
    """A client whose kernel takes a few bytes at a time."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 88)
    raw.settimeout(20)
    raw.connect(("127.0.0.1", served.port))
    return served.wrap(raw)


def sends(data: bytes) -> Callable[[Served], socket.socket]:
    def connect(served: Served) -> socket.socket:
        raw = served.connect()
        raw.sendall(data)
        return raw

    return connect


def asks_for_much(served: Served) -> socket.socket:
    raw = reads_little(served)
    raw.sendall(b"GET /size/%d HTTP/1.1\r\nHost: x\r\n\r\n" % LARGE)
    return raw


KINDS = {
    "silent": Served.connect,
    "half a head": sends(HEAD),
    "half a body": sends(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"),
    "half a chunk": sends(
        b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"
    ),
    "no end of chunks": sends(
        b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
    ),
    "takes nothing": asks_for_much,
    "does not close": sends(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    "refused and silent": sends(b"nonsense\r\n\r\n"),
    "too large a body": sends(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\nx"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_many_slow_clients_hold_up_nobody(served: Served, kind: str) -> None:
    with ExitStack() as resources:
        for _ in range(MANY):
            resources.enter_context(KINDS[kind](served))
        assert is_served(served)


def test_a_silent_client_is_let_go(served: Served) -> None:
    with served.connect() as raw:
        assert raw.recv(1) == b""


@pytest.mark.parametrize("start", [b"G", HEAD, b"\r\n"], ids=["a byte", "a half", "an empty line"])
def test_a_head_that_takes_too_long_is_408(served: Served, start: bytes) -> None:
    with served.connect() as raw:
        raw.sendall(start)
        assert to_the_end(raw).startswith(b"HTTP/1.1 408 ")


def test_a_head_in_single_bytes_is_read(served: Served) -> None:
    with served.connect() as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in HEAD + b"\r\n":
            raw.sendall(bytes([number]))
        assert status(raw) == 200


def test_a_client_that_takes_nothing_is_let_go_and_one_that_takes_all_has_all(
    served: Served,
) -> None:
    with asks_for_much(served) as lazy, served.connect() as eager:
        eager.sendall(b"GET /size/%d HTTP/1.1\r\nHost: x\r\n\r\n" % LARGE)
        assert answer(eager).count(b"x" * 1000) == LARGE // 1000
        assert is_cut_off(lazy)


def is_cut_off(raw: socket.socket) -> bool:
    """Whether the server ends the connection, nothing being read meanwhile."""
    poll = select.poll()
    poll.register(raw, select.POLLRDHUP)
    return bool(poll.poll(20_000))


def test_requests_sent_together_are_answered_in_their_order(served: Served) -> None:
    posts = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst"
    chunked = b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"3\r\nsec\r\n3;a=b\r\nond\r\n0\r\nX-Trailer: a\r\n\r\n"
    last = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with served.connect() as raw:
        raw.sendall(posts + chunked + b"GET /size/300000 HTTP/1.1\r\nHost: x\r\n\r\n" + last)
        received = to_the_end(raw)
    places = [received.find(text) for text in (b"\r\nfirst", b"\r\nsecond", b"xxx", b"GET /last")]
    assert places == sorted(places) and places[0] > 0
    assert received.count(b"HTTP/1.1 200 OK") == 4


def test_a_request_that_comes_in_two_halves_with_the_one_before_is_answered(
    served: Served,
) -> None:
    with served.connect() as raw:
        raw.sendall(HEAD + b"\r\n" + HEAD)
        assert status(raw) == 200
        raw.sendall(b"\r\n")
        assert status(raw) == 200


def test_a_thousand_requests_sent_together_are_a_thousand_answers(served: Served) -> None:
    with served.connect() as raw:
        request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        raw.sendall(request * 1000 + HEAD + b"Connection: close\r\n\r\n")
        assert to_the_end(raw).count(b"HTTP/1.1 200 OK") == 1001


def test_a_body_is_invited_where_the_client_waits_for_that(served: Served) -> None:
    head = b"POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    with served.connect() as raw:
        raw.sendall(head + b"Content-Length: 5\r\n\r\n")
        assert answer(raw).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        raw.sendall(b"hello")
        assert answer(raw).endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(
    "fields",
    [b"Content-Length: 9999999\r\n", b"Content-Length: 5\r\nX y: z\r\n"],
    ids=["too large", "malformed"],
)
def test_a_body_that_is_of_no_use_is_not_invited(served: Served, fields: bytes) -> None:
    with served.connect() as raw:
        raw.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + fields + b"\r\n")
        assert b" 100 " not in to_the_end(raw)


def test_a_body_that_came_uninvited_is_not_invited_any_more(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(
            b"POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
            b"Content-Length: 5\r\n\r\nhello"
        )
        assert to_the_end(raw).startswith(b"HTTP/1.1 200 OK")


def test_head_has_the_length_and_no_body(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"HEAD /size/77 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = to_the_end(raw)
    assert b"Content-Length: 77\r\n" in received and received.endswith(b"\r\n\r\n")


def test_an_answer_without_a_length_is_sent_in_chunks(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(b"GET /parts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = to_the_end(raw)
    assert received.endswith(b"7\r\npart 0\n\r\n7\r\npart 1\n\r\n7\r\npart 2\n\r\n0\r\n\r\n")


def test_a_client_that_says_it_sends_no_more_has_its_answer(served: Served) -> None:
    with served.connect() as raw:
        raw.sendall(HEAD + b"\r\n")
        if served.certificate is None:
            raw.shutdown(socket.SHUT_WR)
        assert status(raw) == 200
