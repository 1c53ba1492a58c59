"""A TCP proxy before a dependency, with the faults that a network and a server have."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from contextlib import suppress

HOST = "127.0.0.1"
SLOW_SECONDS = 0.2  # for each piece of an answer
FLAP_SECONDS = 0.3
CUT_AFTER = 20  # bytes of a piece of an answer
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST


class FaultyProxy:
    """Passes everything on, until ``mode`` names a fault; threads do the rest.

    ``refused``: nothing listens, and connections are reset. ``black hole``: connections stay, and
    no byte arrives. ``slow``, ``cut``, ``wrong data``: of each piece of an answer. ``half-open``:
    the server forgets the connections of before, and the client is not told. ``flapping``: refused
    and not, in turn.
    """

    def __init__(self, port: int) -> None:
        """``port`` is that of the dependency, on this machine."""
        self.target = port
        self.mode = "pass"
        self._listener: socket.socket | None = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[tuple[socket.socket, socket.socket]] = []
        self._forgotten: set[socket.socket] = set()
        self._is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()
        threading.Thread(target=self._flap, daemon=True).start()

    def break_down(self, mode: str) -> None:
        """The fault holds from now on."""
        self.mode = mode
        if mode == "refused":
            self._refuse()
        elif mode == "half-open":
            for client, server in self._open:
                self._forgotten.add(client)
                _reset(server)

    def mend(self) -> None:
        """Everything passes again; connections that were forgotten stay so."""
        self.mode = "pass"

    def close(self) -> None:
        self._is_closed = True
        self._refuse()

    def _refuse(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for pair in self._open:
            for end in pair:
                _reset(end)
        self._open.clear()

    def _flap(self) -> None:
        while not self._is_closed:
            time.sleep(FLAP_SECONDS)
            if self.mode == "flapping" and self._listener is not None:
                self._refuse()
                time.sleep(FLAP_SECONDS)

    def _accept(self) -> None:
        while not self._is_closed:
            listener = self._listener
            if listener is None:
                if self.mode != "refused":
                    with suppress(OSError):
                        self._listener = socket.create_server((HOST, self.port))
                time.sleep(0.02)
                continue
            with suppress(OSError):
                client, _ = listener.accept()
                try:
                    server = socket.create_connection((HOST, self.target), timeout=5)
                except OSError:
                    _reset(client)
                    continue
                server.settimeout(None)
                self._open.append((client, server))
                for pump in (self._upwards, self._downwards):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(65536):
                self._wait_in_hole()
                server.sendall(chunk)
        if client not in self._forgotten:
            _reset(server)

    def _downwards(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := server.recv(65536):
                self._wait_in_hole()
                match self.mode:
                    case "slow":
                        time.sleep(SLOW_SECONDS)
                    case "cut in mid-answer" if len(chunk) > CUT_AFTER:
                        client.sendall(chunk[:CUT_AFTER])
                        break
                    case "wrong data":
                        chunk = os.urandom(len(chunk))
                client.sendall(chunk)
        if client not in self._forgotten:
            _reset(client)
            _reset(server)

    def _wait_in_hole(self) -> None:
        while self.mode == "black hole" and not self._is_closed:
            time.sleep(0.02)


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        end.close()
