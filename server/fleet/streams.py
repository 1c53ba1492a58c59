"""The event streams of simulated agents, held as plexd holds them: a thread for each."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from urllib.parse import urlsplit

from server.fleet.agents import Agent
from server.fleet.wire import CONNECT_SECONDS, NO_ANSWER, USER_AGENT

# plexd's own: the longest silence, and the waits between two attempts (seconds).
IDLE_SECONDS = 90.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
# After 501 it pulls only, and asks again now and then. After these it never asks again.
NOT_SERVED, NOT_SERVED_WAIT = 501, 600.0
FOR_GOOD = (401, 403, 404)
STACK_BYTES = 256 * 1024

# (status, seconds) of an opening; seconds from an event's ``issued_at`` to its arrival.
OnOpened = Callable[[int, float], None]
OnEvent = Callable[[float], None]


@dataclass
class AgentStream:
    """The event stream of an agent. ``pull`` is called at each connect and after each event."""

    agent: Agent
    pull: Callable[[], None]
    on_opened: OnOpened
    on_event: OnEvent
    ended: threading.Event
    random: Random
    last_id: str = ""
    _socket: socket.socket | None = field(default=None, repr=False)

    def run(self) -> None:
        """Open the stream again and again, until the simulation ends."""
        wait = FIRST_WAIT
        while not self.ended.is_set():
            status = self.attempt()
            if status in FOR_GOOD:
                return
            if status == NOT_SERVED:
                wait = NOT_SERVED_WAIT
            elif status == 200:  # the service ended it: open it at once
                wait = FIRST_WAIT
                continue
            self.ended.wait(wait * self.random.uniform(0.75, 1.25))
            wait = min(2 * wait, LONGEST_WAIT)

    def close(self) -> None:
        """End what ``run`` reads."""
        with suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def attempt(self) -> int:
        """Open the stream once and read it to its end; the status, or NO_ANSWER where it breaks."""
        target, started = urlsplit(self.agent.url), time.monotonic()
        https = target.scheme == "https"
        kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
        connection = kind(target.hostname or "", target.port, timeout=CONNECT_SECONDS)
        path = f"{target.path.rstrip('/')}/v1/nodes/{self.agent.node_id}/events"
        try:
            connection.request("GET", path, headers=self._headers)
            self._socket = connection.sock
            self._socket.settimeout(IDLE_SECONDS)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            connection.close()
            if not self.ended.is_set():
                self.on_opened(NO_ANSWER, time.monotonic() - started)
            return NO_ANSWER
        with closing(connection):
            if response.status != NOT_SERVED:
                self.on_opened(response.status, time.monotonic() - started)
            return self._read(response) if response.status == 200 else response.status

    def _read(self, response: http.client.HTTPResponse) -> int:
        try:
            self.pull()
            for data in self._events(response):
                self.on_event(time.time() - _issued(data))
                self.pull()
        except (OSError, http.client.HTTPException):
            return NO_ANSWER
        return 200

    @property
    def _headers(self) -> dict[str, str]:
        resume = {"Last-Event-ID": self.last_id} if self.last_id else {}
        return {
            "Accept": "text/event-stream",
            "Authorization": f"Bearer {self.agent.credential}",
            "User-Agent": USER_AGENT,
            **resume,
        }

    def _events(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """The data of each event. The position moves before the event is looked at, as plexd's."""
        data = b""
        while (line := response.readline()) and not self.ended.is_set():
            if line.startswith(b"id: "):
                self.last_id = line[4:].decode().strip()
            elif line.startswith(b"data: "):
                data = line[6:]
            elif line == b"\n" and data:
                yield data
                data = b""


def _issued(data: bytes) -> float:
    return datetime.fromisoformat(json.loads(data)["issued_at"]).timestamp()


class Streams:
    """All streams of a simulation."""

    def __init__(self, streams: Sequence[AgentStream], ended: threading.Event) -> None:
        self._streams = streams
        self._ended = ended
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Raises RuntimeError where the machine allows no further thread."""
        usual = threading.stack_size(STACK_BYTES)
        try:
            for stream in self._streams:
                thread = threading.Thread(target=stream.run, daemon=True)
                thread.start()
                self._threads.append(thread)
        finally:
            threading.stack_size(usual)

    def end(self) -> None:
        """No agent pulls for an event any more when this returns."""
        self._ended.set()
        for stream in self._streams:
            stream.close()
        for thread in self._threads:
            thread.join()
