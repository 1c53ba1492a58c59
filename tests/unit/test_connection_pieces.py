"""An answer in pieces reaches a client that reads slowly whole and in order."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from server.gunicorn.connection import PIECES, Connection
from tests.keys_of_tls import certificate_for_loopback

CLIENT = ("127.0.0.1", 4000)
RECORD_BYTES = 16_384  # of what a full TLS record holds


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


class Client:
    """A client of TLS that keeps the records of what it has received since the handshake."""

    def __init__(self, folder: Path) -> None:
        """``server`` is the other side, agreed with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate_for_loopback(folder))
        context.num_tickets = 0  # nothing but answers comes behind the handshake
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        sock, self.sock = socket.socketpair()
        for each in (sock, self.sock):
            each.setblocking(False)
        self.server = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting.wrap_bio(self._incoming, outgoing)
        self.received = b""
        for shake_hands in (self._tls.do_handshake, self.server.do_handshake) * 2:
            with suppress(ssl.SSLWantReadError):
                shake_hands()
            self.sock.sendall(outgoing.read())
            self.receive()
        self.received = b""

    def receive(self) -> None:
        """Take what there is, in small parts."""
        with suppress(BlockingIOError):
            data = self.sock.recv(5_000)
            self.received += data
            self._incoming.write(data)

    def records(self) -> list[int]:
        """The lengths of the records."""
        found, rest = [], self.received
        while rest:
            found.append(int.from_bytes(rest[3:5]))
            rest = rest[5 + found[-1] :]
        return found

    def read(self, size: int) -> bytes:
        """The text in the TLS records, at least this many bytes of it."""
        text = b""
        while len(text) < size:
            text += self._tls.read(size)
        return text


@pytest.mark.parametrize("last", [0, 100_000])
def test_small_pieces_share_tls_records_in_an_answer_of_any_size(last: int, tmp_path: Path) -> None:
    client, random = Client(tmp_path), Random(1)
    incoming: Any = None
    connection = Connection(client.server, CLIENT, CLIENT, incoming)
    pieces = [random.randbytes(random.choice((0, 1, 700, 9_000))) for _ in range(3 * PIECES)]
    pieces.append(random.randbytes(last))
    answer = b"".join(pieces)
    connection.sendall(*pieces)
    while connection.unsent or len(client.received) < len(answer):
        connection.flush()
        client.receive()
    client.receive()
    *full, _ = client.records()
    assert client.read(len(answer)) == answer
    assert len(full) > 10 and min(full) > RECORD_BYTES
    client.server.close()
    client.sock.close()
