"""What a worker reads after its last answer has bounds: of bytes, of time, and of patience."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from server.gunicorn import worker as gunicorn_worker
from server.gunicorn.worker import part_from

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The worker's end and the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        ours, _ = listener.accept()
        with ours, client:
            yield ours, client


def parted(ours: socket.socket) -> float:
    """How long it took (s)."""
    started = time.monotonic()
    part_from(ours)
    return time.monotonic() - started


def test_a_client_that_closes_is_let_go_at_once(pair: Pair) -> None:
    ours, client = pair
    client.sendall(b"the rest")
    client.shutdown(socket.SHUT_WR)
    assert parted(ours) < gunicorn_worker.NEXT_SECONDS
    assert client.recv(1) == b""


def test_a_client_that_neither_sends_nor_closes_is_left(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = pair
    monkeypatch.setattr(gunicorn_worker, "NEXT_SECONDS", 0.05)
    assert parted(ours) < gunicorn_worker.REST_SECONDS
    ours.settimeout(0)
    assert ours.recv(1) == b""  # what reads it in the main loop does not wait


@pytest.mark.parametrize(
    ("bound", "value"), [("REST_SECONDS", 0.1), ("REST_MAX_BYTES", 4)], ids=["time", "bytes"]
)
def test_a_client_that_goes_on_sending_is_left(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    ours, client = pair
    monkeypatch.setattr(gunicorn_worker, bound, value)
    done = threading.Event()

    def trickle() -> None:
        while not done.wait(0.01):
            client.sendall(b"x")

    sender = threading.Thread(target=trickle)
    sender.start()
    try:
        assert parted(ours) < 2.0
    finally:
        done.set()
        sender.join()
