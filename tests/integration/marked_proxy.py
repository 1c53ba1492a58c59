"""A TCP proxy before a dependency: by a marker it cuts or changes an answer, or delivers a request
late."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

LATEST_S = 30.0
SHORTEST_ANSWER = 60  # bytes; a shorter piece is a frame of HTTP/2 about the connection


@dataclass(frozen=True, slots=True, eq=False)
class LateRequest:
    """The first request with ``marker``. It waits for ``deliver``, and its client gives up."""

    marker: bytes
    waiting: threading.Event = field(default_factory=threading.Event)
    delivered: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)

    def deliver(self) -> None:
        """Let the request through; returns when the server has answered it."""
        assert self.waiting.wait(LATEST_S), "no request with the marker came"
        self.delivered.set()
        assert self.answered.wait(LATEST_S), "the server has not answered"

    def wait_to_be_sent(self, server: socket.socket, chunk: bytes) -> None:
        """Called by the proxy, in a thread of its own."""
        self.waiting.set()
        self.delivered.wait(LATEST_S)
        with suppress(OSError):
            server.sendall(chunk)


class MarkedProxy:
    """Passes everything on until it is told a marker."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts = 0
        self._marker: bytes | None = None
        self._silently = False
        self._left = 0
        self._replacement: bytes | None = None
        self._late: LateRequest | None = None
        self._late_client: socket.socket | None = None
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def cutting(
        self, marker: bytes, silently: bool = False, times: int = 1_000_000
    ) -> Iterator[None]:
        """From now on an answer ends before ``marker``, on old connections and on new ones."""
        self._marker, self._silently, self._left = marker, silently, times
        try:
            yield
        finally:
            self._marker = None

    @contextmanager
    def replacing(self, marker: bytes, replacement: bytes) -> Iterator[None]:
        """The next answer that holds ``marker`` has the replacement in its place."""
        self._replacement = replacement
        try:
            with self.cutting(marker, times=1):
                yield
        finally:
            self._replacement = None

    def delay(self, marker: bytes) -> LateRequest:
        """The next request with ``marker`` is late; what its client sends behind it is lost."""
        self._late = LateRequest(marker)
        return self._late

    def close(self) -> None:
        if self._late is not None:
            self._late.delivered.set()
        self._listener.close()
        for connection in self._open:
            _end(connection)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                for pump in (self._upwards, self._downwards):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(65536):
                if client is self._late_client:
                    continue
                late = self._late
                if late is None or late.marker not in chunk or self._late_client is not None:
                    server.sendall(chunk)
                    continue
                self._late_client = client
                threading.Thread(
                    target=late.wait_to_be_sent, args=(server, chunk), daemon=True
                ).start()
        if client is not self._late_client:
            _end(server)

    def _downwards(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := server.recv(65536):
                if client is self._late_client and self._late and self._late.delivered.is_set():
                    if len(chunk) > SHORTEST_ANSWER:
                        self._late.answered.set()
                    continue
                if self._left and self._marker is not None and self._marker in chunk:
                    self._left -= 1
                    self.cuts += 1
                    if self._replacement is not None:
                        client.sendall(chunk.replace(self._marker, self._replacement))
                        continue
                    client.sendall(chunk[: chunk.index(self._marker)])
                    if self._silently:
                        return
                    break
                client.sendall(chunk)
        _end(client)
        _end(server)


def _end(connection: socket.socket) -> None:
    # Without shutdown, close() leaves the connection open while the other thread reads from it.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
