"""A request as plexd sends it: a connection of its own, gzip, 30 seconds for all of it."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import socket
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

# plexd's own limits: connecting, and the whole request (seconds).
CONNECT_SECONDS, WHOLE_SECONDS = 10.0, 30.0
# Larger request bodies are sent compressed; a larger answer is not inflated to its end (bytes).
GZIP_ABOVE, INFLATED_MAX = 1_024, 10 * 1024 * 1024
USER_AGENT = "plexd/0.0.0-simulated"
# In place of a status where none came: nothing listened, or the time was over.
NO_ANSWER = 0
# A compressed answer that is broken, or cut at INFLATED_MAX: plexd cannot use it.
UNREADABLE = -1


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """An answer. ``seconds`` from the first byte sent to the last received; names of ``headers``
    are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The Problem's code, or the status."""
        try:
            return str(self.json["code"])
        except (ValueError, KeyError, TypeError):
            return str(self.status)

    @property
    def refusal(self) -> str:
        """The refusal for people: ``503 dependency_unavailable``, ``502``, ``no answer``."""
        named = status_name(self.status)
        return named if self.code == str(self.status) else f"{named} {self.code}"


def status_name(status: int) -> str:
    return {NO_ANSWER: "no answer", UNREADABLE: "unreadable"}.get(status, str(status))


def send(
    url: str,
    method: str,
    path: str,
    token: str,
    value: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> AgentAnswer:
    """Send a request. A fault of the network or the service raises nothing: it is NO_ANSWER."""
    started = time.monotonic()
    ends = started + WHOLE_SECONDS
    target = urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.hostname or "", target.port, timeout=CONNECT_SECONDS)
    try:
        connection.connect()
        connection.sock.settimeout(_left(ends))
        connection.response_class = partial(_response, ends)  # type: ignore[assignment]
        body, sent = _body(value)
        sent |= {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Authorization": f"Bearer {token}",
            "User-Agent": USER_AGENT,
            **(headers or {}),
        }
        whole = target.path.rstrip("/") + path
        connection.request(method, whole, body=body, headers=sent)
        response = connection.getresponse()
        received = response.read()
        found = {name.lower(): text for name, text in response.getheaders()}
        status = response.status
        if received and found.get("content-encoding") == "gzip":
            status, received = _inflated(status, received)
        return AgentAnswer(
            status=status, headers=found, body=received, seconds=time.monotonic() - started
        )
    except (OSError, http.client.HTTPException):
        return AgentAnswer(
            status=NO_ANSWER, headers={}, body=b"", seconds=time.monotonic() - started
        )
    finally:
        connection.close()


def _body(value: Mapping[str, Any] | None) -> tuple[bytes | None, dict[str, str]]:
    if value is None:
        return None, {}
    raw = json.dumps(value).encode()
    if len(raw) <= GZIP_ABOVE:
        return raw, {"Content-Type": "application/json"}
    return gzip.compress(raw), {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def _inflated(status: int, packed: bytes) -> tuple[int, bytes]:
    """The status, or UNREADABLE; and the body."""
    inflating = zlib.decompressobj(wbits=31)
    try:
        found = inflating.decompress(packed, INFLATED_MAX)
    except zlib.error:
        return UNREADABLE, b""
    return (status, found) if inflating.eof else (UNREADABLE, found)


def _response(ends: float, sock: socket.socket, **how: Any) -> http.client.HTTPResponse:
    """An answer whose reads all end at one time."""
    return http.client.HTTPResponse(_Timed(sock, ends), **how)  # type: ignore[arg-type]


class _Timed:
    """A socket whose reads all end at one time; its own timeout would begin anew with each read."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock = sock
        self._ends = ends

    def makefile(self, mode: str) -> io.BufferedReader:
        """The file from which http.client reads an answer."""
        return io.BufferedReader(_TimedReads(self._sock, self._ends))


class _TimedReads(io.RawIOBase):
    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock = sock
        self._ends = ends
        # http.client closes the socket before it has read everything; this file keeps it open.
        self._reads = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._ends))
        return self._reads.readinto(buffer)

    def close(self) -> None:
        self._reads.close()
        super().close()


def _left(ends: float) -> float:
    """Seconds left; never zero, which would mean not to wait, so that nothing could be read."""
    return max(0.001, ends - time.monotonic())
