"""A WSGI application that does what the path says: for tests of what stands before ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

# Requests to /wait end when one to /go comes.
_gone_on = threading.Event()
_waiting = threading.Semaphore(0)
_counted: list[str] = []
_streams: list[Any] = []
_gone: SimpleQueue[bool] = SimpleQueue()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """``/size/N`` has N bytes, ``/wait`` none before ``/go``, ``/parts`` is a stream of three;
    ``/waiting/N`` is answered when N of them wait; ``/hold`` is a stream that ``/say/TEXT`` and
    ``/flood/BYTES`` write to, ``/end`` ends, and whose client's end ``/leaves`` waits for.

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
    elif path == "/hold":
        return _stream(environ, start_response)
    elif path.startswith("/say/"):
        body = b"".join(
            b"%d" % stream.write(path.removeprefix("/say/").encode()) for stream in _streams
        )
    elif path.startswith("/flood/"):
        size = int(path.removeprefix("/flood/"))
        body = b"".join(b"%d" % stream.write(b"x" * size) for stream in _streams)
    elif path == "/end":
        for stream in list(_streams):
            stream.close()
    elif path == "/leaves":
        _gone.get(timeout=20)
    elif path == "/since":
        body = f"{time.monotonic() - environ['plexsphere.received']:f}".encode()
    elif path == "/parts":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return _parts()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def _stream(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """An answer that /say goes on with; /leaves is answered when the client of one is gone."""

    def gone() -> None:
        _streams.remove(stream)
        _gone.put(True)

    stream = environ["plexsphere.hold"](gone)
    _streams.append(stream)
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    return [b"begun\n"]


def _parts() -> Iterator[bytes]:
    for number in range(3):
        yield b"part %d\n" % number
