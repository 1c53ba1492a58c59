"""A bare HTTP client: what it is told to send, byte for byte, and what came back."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 20.0
EVENT_STREAM = "text/event-stream"
OPENED = re.compile(rb"^retry: \d+\nid: \d+\n\n\Z", re.MULTILINE)


@dataclass(frozen=True)
class Reply:
    """A response, header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The Problem's code."""
        code = self.json.get("code")
        return None if code is None else str(code)

    def blanked(self) -> bytes:
        """The Problem's bytes without what differs between two requests: what stands in
        `instance` and in `correlation_id`. Every other byte is as it was received.
        """
        raw = self.body
        for member in ("instance", "correlation_id"):
            written = f'"{member}":{json.dumps(self.json[member], ensure_ascii=False)}'.encode()
            assert raw.count(written) == 1, f"{member} is not there once, as it is written"
            raw = raw.replace(written, f'"{member}":""'.encode())
        return raw

    def alike(self) -> tuple[int, bytes, list[tuple[str, str]]]:
        """All of a refusal that two requests must share: status, bytes, headers in their order.

        Left out are the date, the correlation id, and of the length what `instance` adds to it.
        """
        own = len(json.dumps(self.json["instance"], ensure_ascii=False).encode())
        length = int(self.headers["content-length"]) - own
        shared = {**self.headers, "date": "", "x-correlation-id": "", "content-length": str(length)}
        return self.status, self.blanked(), list(shared.items())

    def outline(self) -> tuple[int, list[tuple[str, str]]]:
        """The parts that answers with and without a body share: status, headers in their order.

        Left out are the date, the correlation id, and how long a body is that may have grown.
        """
        shared = {**self.headers, "date": "", "x-correlation-id": ""}
        if self.status < 400 and "content-length" in shared:
            shared["content-length"] = ""
        return self.status, list(shared.items())


def ask(
    url: str,
    path: str,
    headers: dict[str, str] | Sequence[tuple[str, str]] = (),
    method: str = "GET",
    body: bytes | None = None,
) -> Reply:
    """One request on a connection of its own. A repeated header is sent as often as it is named."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=TIMEOUT_S)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items() if isinstance(headers, dict) else headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_stream = found.get("content-type", "") == EVENT_STREAM and method != "HEAD"
        body = opening(iter(response.readline, b"")) if is_stream else response.read()
        return Reply(response.status, found, body)
    finally:
        connection.close()


def opening(pieces: Iterator[bytes]) -> bytes:
    """The beginning of an event stream, which has no end, up to the frame that ends it."""
    received = b""
    for piece in pieces:
        received += piece
        if OPENED.search(received):
            break
    return received


def send_raw(url: str, request: bytes, *, ends: bool = False) -> bytes:
    """Bytes as they are, and where it ``ends`` that there are no more; everything that comes back
    until the server closes or goes quiet."""
    target = urlsplit(url)
    received = b""
    with socket.create_connection((target.hostname, target.port), timeout=TIMEOUT_S) as raw:
        raw.sendall(request)
        if ends:
            raw.shutdown(socket.SHUT_WR)
        raw.settimeout(3.0)
        try:
            while chunk := raw.recv(65536):
                received += chunk
        except TimeoutError:
            pass
    return received


def bearer(token: str) -> dict[str, str]:
    """The Authorization header of a token."""
    return {"Authorization": f"Bearer {token}"}


def pull_path(node_id: object) -> str:
    """The pull of a Node."""
    return f"/v1/nodes/{node_id}/state"
