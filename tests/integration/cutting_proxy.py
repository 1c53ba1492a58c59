"""A TCP proxy before Postgres that can be told where in an answer to cut, to fall silent, or to
change bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CuttingProxy:
    """Passes everything through until the server's bytes hold `marker`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.marker: bytes | None = None
        self.silently = False
        self.left = 0
        self.cuts = 0
        self._replacement: bytes | None = None
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def cutting(
        self, marker: bytes, silently: bool = False, times: int = 1_000_000
    ) -> Iterator[None]:
        """From now on an answer ends before `marker`, on old connections and on new ones."""
        self.marker, self.silently, self.left = marker, silently, times
        try:
            yield
        finally:
            self.marker = None

    @contextmanager
    def replacing(self, marker: bytes, replacement: bytes) -> Iterator[None]:
        """The next answer that holds `marker` has the replacement in its place."""
        self._replacement = replacement
        try:
            with self.cutting(marker, times=1):
                yield
        finally:
            self._replacement = None

    def close(self) -> None:
        self._listener.close()
        for connection in self._open:
            _end(connection)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                for pump, source, other in (
                    (self._upwards, client, server),
                    (self._downwards, server, client),
                ):
                    threading.Thread(target=pump, args=(source, other), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(65536):
                server.sendall(chunk)
        _end(server)

    def _downwards(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while chunk := server.recv(65536):
                if self.left and self.marker is not None and self.marker in chunk:
                    self.left -= 1
                    self.cuts += 1
                    if self._replacement is not None:
                        client.sendall(chunk.replace(self.marker, self._replacement))
                        continue
                    client.sendall(chunk[: chunk.index(self.marker)])
                    if self.silently:
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
