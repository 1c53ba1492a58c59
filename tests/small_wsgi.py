"""A WSGI application that says what it was given: for tests of what stands before ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

# Requests to /wait end when one to /go comes.
_gone_on = threading.Event()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """``/size/N`` has N bytes, ``/wait`` none before ``/go``, ``/parts`` is a stream of three."""
    path = environ["PATH_INFO"]
    body = f"{environ['REQUEST_METHOD']} {path}\n".encode()
    if path.startswith("/size/"):
        body = b"x" * int(path.removeprefix("/size/"))
    elif path == "/body":
        body = environ["wsgi.input"].read()
    elif path == "/wait":
        _gone_on.wait(20)
    elif path == "/go":
        _gone_on.set()
    elif path == "/stop":
        _gone_on.clear()
    elif path == "/since":
        body = f"{time.monotonic() - environ['plexsphere.received']:f}".encode()
    elif path == "/parts":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return _parts()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _parts() -> Iterator[bytes]:
    for number in range(3):
        yield b"part %d\n" % number
