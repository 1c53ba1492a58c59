"""One request as plexd sends it: its own connection, gzip by hand, 30 seconds for everything."""

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
from typing import Any
from urllib.parse import urlsplit

# plexd's own limits: connecting, and the whole request (seconds).
CONNECT_SECONDS, WHOLE_SECONDS = 10.0, 30.0
# Request bodies above this are sent compressed; of a compressed answer no more is read (bytes).
GZIP_ABOVE, INFLATED_MAX = 1_024, 10 * 1024 * 1024
USER_AGENT = "plexd/0.0.0-simulated"
# What stands for the status where none came: nothing listened, or not in time.
NO_ANSWER = 0
# A compressed answer that is broken, or cut at INFLATED_MAX, as plexd makes nothing of it.
UNREADABLE = -1


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back. ``seconds`` from the first byte sent to the last received; names of
    ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The Problem's code, or the bare status."""
        try:
            return str(self.json["code"])
        except (ValueError, KeyError, TypeError):
            return str(self.status)

    @property
    def refusal(self) -> str:
        """For people: ``503 dependency_unavailable``, ``502``, ``no answer``."""
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
) -> Answered:
    """Never raises for what the network or the service does: that is what is being observed."""
    started = time.monotonic()
    ends = started + WHOLE_SECONDS
    target = urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.hostname or "", target.port, timeout=CONNECT_SECONDS)
    try:
        connection.connect()
        connection.sock.settimeout(_left(ends))
        connection.response_class = lambda sock, **how: http.client.HTTPResponse(
            _Timed(sock, ends),  # type: ignore[arg-type]
            **how,
        )
        body, sent = _body(value)
        sent |= {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Authorization": f"Bearer {token}",
            "User-Agent": USER_AGENT,
            **(headers or {}),
        }
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        received = response.read()
        found = {name.lower(): text for name, text in response.getheaders()}
        status = response.status
        if received and found.get("content-encoding") == "gzip":
            status, received = _inflated(status, received)
        return Answered(status, found, received, time.monotonic() - started)
    except (OSError, http.client.HTTPException):
        return Answered(NO_ANSWER, {}, b"", time.monotonic() - started)
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
    """The body, with the status it then has."""
    inflating = zlib.decompressobj(wbits=31)
    try:
        found = inflating.decompress(packed, INFLATED_MAX)
    except zlib.error:
        return UNREADABLE, b""
    return (status, found) if inflating.eof else (UNREADABLE, found)


class _Timed:
    """A socket whose every read ends at one moment: a timeout of its own begins anew with each."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock = sock
        self._ends = ends

    def makefile(self, mode: str) -> io.BufferedReader:
        """What http.client reads an answer from."""
        return io.BufferedReader(_TimedReads(self._sock, self._ends))


class _TimedReads(io.RawIOBase):
    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock = sock
        self._ends = ends
        # What http.client closes before it reads on is open for as long as this is.
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
    """Seconds. Zero would mean not to wait at all, so that nothing at all could be read."""
    return max(0.001, ends - time.monotonic())
