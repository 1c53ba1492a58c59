"""One request as plexd sends it: its own connection, gzip by hand, 30 seconds for everything."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# contract.md 3.4: connecting, and the whole request (seconds).
CONNECT_SECONDS, WHOLE_SECONDS = 10.0, 30.0
# Request bodies above this are sent compressed (bytes).
GZIP_ABOVE = 1_024
USER_AGENT = "plexd/0.0.0-simulated"
# What stands for the status where none came: nothing listened, or not in time.
NO_ANSWER = 0


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
    target = urlsplit(url)
    kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = kind(target.hostname or "", target.port, timeout=CONNECT_SECONDS)
    try:
        connection.connect()
        connection.sock.settimeout(WHOLE_SECONDS)
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
        if found.get("content-encoding") == "gzip":
            received = gzip.decompress(received)
        return Answered(response.status, found, received, time.monotonic() - started)
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
