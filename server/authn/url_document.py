"""A JWKS from a URL: a module of its own, because its library is a fifth of a command's imports."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from server.authn.key_documents import MAX_BYTES, DocumentError


class SocketDeadline(HTTPAdapter):
    """Cuts the connections of one fetch after ``seconds``, whatever the server does: a timeout of
    the library begins anew with each byte, and a TLS handshake or a head may drip."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> SocketDeadline:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        for opened in self._sockets:
            opened.close()

    def get_connection_with_tls_context(self, *arguments: Any, **named: Any) -> Any:
        """A pool of connections whose sockets are known before their handshake."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **named)
        sockets, connection = self._sockets, pool.ConnectionCls

        class KnownConnection(connection):  # type: ignore[misc, valid-type]
            def _new_conn(self) -> socket.socket:
                opened: socket.socket = super()._new_conn()
                # A TLS socket takes the descriptor over; the duplicate stays ours.
                sockets.append(opened.dup())
                return opened

        pool.ConnectionCls = KnownConnection
        return pool

    def _cut(self) -> None:
        for opened in self._sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


class UrlDocument:
    """A URL, fetched with TLS verification, within ``total_s`` seconds, without redirects.

    ``ca`` is a file of trusted roots, None for those of the library. Proxies and netrc of the
    environment are not used: only the setting decides where keys come from.
    """

    def __init__(
        self,
        url: str,
        ca: Path | None = None,
        timeout_s: float = 1.0,
        total_s: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._verify: str | bool = str(ca) if ca else True
        self._timeout_s = timeout_s
        self._total_s = total_s
        self._clock = clock
        self._read: bytes | None = None
        self._accepted: bytes | None = None

    def read(self) -> bytes | None:
        until = self._clock() + self._total_s
        # One session for each fetch: forks and threads share nothing, and fetches are rare.
        with requests.Session() as session, SocketDeadline(self._total_s) as deadline:
            session.trust_env = False
            session.mount(self._url, deadline)
            try:
                content = self._fetch(session, until)
            except (requests.RequestException, HTTPError) as error:
                # The message would contain the URL, which may contain credentials.
                raise DocumentError(type(error).__name__) from None
        self._read = content
        return None if content == self._accepted else content

    def accept(self) -> None:
        self._accepted = self._read

    def _fetch(self, session: requests.Session, until: float) -> bytes:
        with session.get(
            self._url,
            timeout=(self._timeout_s, self._timeout_s),
            verify=self._verify,
            # A redirect could lead anywhere, even to plain http.
            allow_redirects=False,
            stream=True,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        ) as response:
            if response.status_code != 200:
                raise DocumentError(f"status {response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise DocumentError("compressed, which was not requested")
            content = bytearray()
            # The read timeout is per piece and read1 returns every piece, so that a slow server is
            # bounded here; iter_content would wait for a full buffer.
            while piece := response.raw.read1(8192, decode_content=False):
                content += piece
                if len(content) > MAX_BYTES:
                    raise DocumentError(f"larger than {MAX_BYTES} bytes")
                if self._clock() > until:
                    raise DocumentError("too slow")
            if self._clock() >= until:  # a connection that was cut ends like a whole answer
                raise DocumentError("too slow")
        return bytes(content)
