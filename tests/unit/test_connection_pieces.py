"""An answer in pieces reaches a client that reads slowly whole and in order."""

from __future__ import annotations

import socket
from random import Random
from typing import Any

from server.gunicorn.connection import PIECES, Connection

CLIENT = ("127.0.0.1", 4000)


def test_pieces_leave_in_their_order_however_little_the_client_takes() -> None:
    ours, client = socket.socketpair()
    client.settimeout(10)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
    incoming: Any = None
    connection = Connection(ours, CLIENT, CLIENT, incoming)
    random = Random(1)
    pieces = [random.randbytes(random.choice((0, 1, 700, 9_000))) for _ in range(3 * PIECES)]
    connection.begin_answer()
    connection.sendall(b"head", *pieces, memoryview(b"last"))
    sent = b"".join([b"head", *pieces, b"last"])
    assert 0 < connection.unsent < len(sent)
    received = b""
    while len(received) < len(sent):
        received += client.recv(5_000)
        connection.flush()
    assert (received == sent, connection.unsent) == (True, 0)
    ours.close()
    client.close()
