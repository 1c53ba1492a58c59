"""A WSGI application that does what the path says: for tests of what stands before ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

# Requests to /wait end when one to /go comes.
_gone_on = threading.Event()
_waiting = threading.Semaphore(0)
_counted: list[str] = []


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """``/size/N`` has N bytes, ``/wait`` none before ``/go``, ``/parts`` is a stream of three;
    ``/waiting/N`` is answered when N of them wait.

    Before ``/wait`` and ``/count`` may stand what makes it another lane's.
    """
    path = environ["PATH_INFO"]
    body = f"{environ['REQUEST_METHOD']} {path}\n".encode()
    if path.startswith("/size/"):
        body = b"x" * int(path.removeprefix("/size/"))
    elif path == "/body":
        body = environ["wsgi.input"].read()
    elif path.endswith("/wait"):
        _waiting.release()
        _gone_on.wait(20)
    elif path.startswith("/waiting/"):
        for _ in range(int(path.removeprefix("/waiting/"))):
            _waiting.acquire(timeout=20)
    elif path == "/go":
        _gone_on.set()
    elif path == "/stay":
        _gone_on.clear()
        while _waiting.acquire(blocking=False):
            pass
    elif path.endswith("/count"):
        _counted.append(path)
    elif path == "/counted":
        body = str(len(_counted)).encode()
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
