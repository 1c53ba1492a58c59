"""A DSN with several hosts: one that accepts connections and answers nothing stops nobody."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from db.connections import blocking_connection, connect
from db.dsn import later_hosts, session_dsn
from tests.ports.deadlines import in_time

Behaviour = Callable[[socket.socket], None]
HOST = "127.0.0.1"
RESETS = struct.pack("ii", 1, 0)  # SO_LINGER


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


PARAMETERS = {b"client_encoding": b"UTF8", b"DateStyle": b"ISO, MDY", b"server_version": b"17.0"}
WELCOME = b"".join(
    [
        _message(b"R", struct.pack("!I", 0)),
        *(_message(b"S", b"%s\0%s\0" % item) for item in PARAMETERS.items()),
        _message(b"Z", b"I"),
    ]
)
REFUSAL = _message(b"E", b"SFATAL\0C28P01\0Mpassword authentication failed for user x\0\0")


def resets(accepted: socket.socket) -> None:
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETS)


def ends(accepted: socket.socket) -> None:
    accepted.recv(4096)


def is_silent(accepted: socket.socket) -> None:
    while accepted.recv(4096):
        pass


def welcomes(accepted: socket.socket) -> None:
    accepted.recv(4096)
    accepted.sendall(WELCOME)
    is_silent(accepted)


def refuses(accepted: socket.socket) -> None:
    accepted.recv(4096)
    accepted.sendall(REFUSAL)


class Server:
    """Listens on a port of its own, and counts what it accepts."""

    def __init__(self, behaves: Behaviour) -> None:
        self._behaves = behaves
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=[accepted], daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted:
            try:
                self._behaves(accepted)
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


@contextmanager
def serving(behaviours: list[Behaviour]) -> Iterator[tuple[str, list[Server]]]:
    """The DSN of all of them, in that order."""
    with ExitStack() as end:
        servers = [end.enter_context(closing(Server(behaves))) for behaves in behaviours]
        hosts = ",".join(HOST for _ in servers)
        ports = ",".join(str(server.port) for server in servers)
        plain = "user=x password=x sslmode=disable gssencmode=disable"
        yield session_dsn(f"host={hosts} port={ports} {plain}", {}), servers


@pytest.mark.parametrize(
    "behaviours",
    [[resets, welcomes], [ends, welcomes], [resets, ends, welcomes], [welcomes, resets]],
)
def test_a_host_that_ends_connections_is_passed_over(behaviours: list[Behaviour]) -> None:
    with serving(behaviours) as (dsn, servers):
        expected = servers[behaviours.index(welcomes)].port
        with closing(connect(dsn, in_time())) as opened:
            assert opened.info.port == expected
        with blocking_connection(dsn, "connecting") as opened:
            assert opened.info.port == expected


def test_silent_hosts_leave_the_last_one_its_share_of_the_time() -> None:
    with (
        serving([is_silent, is_silent, welcomes]) as (dsn, servers),
        closing(connect(dsn, in_time(0.3))) as opened,
    ):
        assert opened.info.port == servers[2].port


@pytest.mark.parametrize("behaviours", [[refuses, welcomes], [resets, refuses, welcomes]])
def test_a_refused_password_is_an_answer_and_is_tried_once(behaviours: list[Behaviour]) -> None:
    with serving(behaviours) as (dsn, servers):
        with pytest.raises(psycopg2.OperationalError, match="password"):
            connect(dsn, in_time())
        *_, refusing, welcoming = servers
        assert (refusing.accepted, welcoming.accepted) == (1, 0)


def test_a_port_for_all_hosts_stays() -> None:
    (later,) = later_hosts("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=5433 password='x y'")
    expected = {"host": "b", "hostaddr": "10.0.0.2", "port": "5433", "password": "x y"}
    assert parse_dsn(later) == expected
    assert later_hosts("host=a port=1") == []
