"""A control plane of a few lines, for tests of what an agent sends and makes of the answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar

from tests.golden.pull import kept

FULL = kept()["everything/full.body.json"]


class Control(BaseHTTPRequestHandler):
    """A control plane of one snapshot, which keeps what it was sent."""

    body = FULL
    given: ClassVar[dict[str, Any]] = {}
    seen: list[tuple[str, str, dict[str, str], bytes]]

    def do_GET(self) -> None:
        self._answer(200, gzip.compress(self.body), {"ETag": 'W/"x"', "Content-Encoding": "gzip"})

    def do_POST(self) -> None:
        self._answer(200, json.dumps(self.given).encode(), {})

    do_PUT = do_POST

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        type(self).seen.append((self.command, self.path, dict(self.headers), sent))
        held = self.headers.get("If-None-Match") == 'W/"x"'
        self.send_response(304 if held else status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0" if held else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if held else body)

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@contextmanager
def control_plane(given: dict[str, Any] | None = None) -> Iterator[str]:
    """``given`` answers every write."""
    Control.seen, Control.given = [], given or {}
    with HTTPServer(("127.0.0.1", 0), Control) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
