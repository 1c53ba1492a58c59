"""A TCP proxy before SpiceDB that delivers one chosen request late, as a network can."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

LATEST_S = 30.0
SHORTEST_ANSWER = 60  # bytes


class DelayingProxy:
    """Passes everything on until the client's bytes contain ``marker``.

    Those bytes wait for ``deliver``. What the client sends after them on that connection is lost:
    it has given up, and the server does not know.
    """

    def __init__(self, host: str, port: int, marker: bytes) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._marker = marker
        self._delivered = threading.Event()
        self._answered = threading.Event()
        self.waiting = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def deliver(self) -> None:
        """Let the request through; returns when the server has answered it."""
        assert self.waiting.wait(LATEST_S), "no request with the marker came"
        self._delivered.set()
        assert self._answered.wait(LATEST_S), "the server has not answered"

    def close(self) -> None:
        self._delivered.set()
        self._listener.close()
        for opened in self._open:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                delayed = threading.Event()
                for pump, source, sink in (
                    (self._upwards, client, server),
                    (self._downwards, server, client),
                ):
                    threading.Thread(target=pump, args=(source, sink, delayed), daemon=True).start()

    def _upwards(
        self, client: socket.socket, server: socket.socket, delayed: threading.Event
    ) -> None:
        with suppress(OSError):
            while chunk := client.recv(65536):
                if delayed.is_set():
                    continue
                if self._marker in chunk and not self.waiting.is_set():
                    delayed.set()
                    threading.Thread(
                        target=self._deliver_late, args=(server, chunk), daemon=True
                    ).start()
                else:
                    server.sendall(chunk)

    def _deliver_late(self, server: socket.socket, chunk: bytes) -> None:
        self.waiting.set()
        self._delivered.wait(LATEST_S)
        with suppress(OSError):
            server.sendall(chunk)

    def _downwards(
        self, server: socket.socket, client: socket.socket, delayed: threading.Event
    ) -> None:
        with suppress(OSError):
            while chunk := server.recv(65536):
                if delayed.is_set() and self._delivered.is_set():
                    # A shorter chunk is a frame of HTTP/2 about the connection.
                    if len(chunk) > SHORTEST_ANSWER:
                        self._answered.set()
                else:
                    client.sendall(chunk)
