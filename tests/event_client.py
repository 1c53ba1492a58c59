"""A client of an event stream, as an agent holds it: frame by frame."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Frame:
    """The text between two blank lines; absent fields are empty."""

    id: str = ""
    event: str = ""
    data: bytes = b""
    retry: str = ""
    comment: str = ""


@dataclass
class EventClient:
    """An open stream. ``last_id`` is what the client sends when it comes back."""

    response: http.client.HTTPResponse
    last_id: str = ""
    seen: list[Frame] = field(default_factory=list)

    @property
    def status(self) -> int:
        return self.response.status

    def frame(self) -> Frame | None:
        """The next frame; None at the end of the stream."""
        fields: dict[str, str] = {}
        while (line := self.response.readline().decode()) not in ("", "\n"):
            name, _, value = line.rstrip("\n").partition(":")
            fields[name or "comment"] = value.removeprefix(" ")
        if not fields:
            return None
        data = fields.pop("data", "").encode()
        found = Frame(**fields, data=data)
        self.last_id = found.id or self.last_id
        self.seen.append(found)
        return found

    def event(self, kind: str = "") -> Frame:
        """The next frame with an event, or with one of a kind."""
        while (found := self.frame()) is not None:
            if found.event and kind in ("", found.event):
                return found
        raise AssertionError("the stream ended")

    def opening(self) -> list[Frame]:
        """The frames with events until the one that ends the opening."""
        events = []
        while (found := self.frame()) is not None and not found.retry:
            events.append(found)
        assert found is not None, "the stream ended"
        return events

    def rest(self) -> list[Frame]:
        """Everything until the stream ends."""
        return list(iter(self.frame, None))  # type: ignore[arg-type]


@contextmanager
def held_stream(
    url: str,
    node_id: object,
    headers: dict[str, str],
    last_id: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[EventClient]:
    """The stream of a Node, whatever its status."""
    target = urlsplit(url)
    host, port = target.hostname or "", target.port
    if tls is None:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=tls)
    resume = {} if last_id is None else {"Last-Event-ID": last_id}
    try:
        path = f"{target.path}/v1/nodes/{node_id}/events"
        connection.request("GET", path, headers={**headers, **resume})
        yield EventClient(connection.getresponse(), last_id or "")
    finally:
        connection.close()
