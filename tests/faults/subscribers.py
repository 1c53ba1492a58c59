"""The agents' event streams during a fault: each is held, and resumed after each end."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
from contextlib import suppress

from tests.client import ask, bearer, pull_path
from tests.event_client import EventClient, held_stream
from tests.faults.seen import Received, written

PACE = 0.1  # seconds between the end of a stream and the next request
OPENED_SECONDS = 10.0


class Subscriber:
    """The stream of one Node, in a thread; ``received`` is what came, in order."""

    def __init__(self, url: str, node_id: str, token: str) -> None:
        """Returns when the stream is open. Raises TimeoutError."""
        self.node_id = node_id
        self.received: list[Received] = []
        self._url = url
        self._token = token
        self._last_id: str | None = None
        self._client: EventClient | None = None
        self._is_open = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._is_open.wait(OPENED_SECONDS):
            self.stop()
            raise TimeoutError(f"the stream of {node_id} does not open")

    def stop(self) -> None:
        """End the stream."""
        self._stop.set()
        while self._thread.is_alive():
            if (client := self._client) is not None:
                with suppress(OSError, ValueError):  # it has ended
                    _shut_down(client)
            self._thread.join(0.1)

    def _run(self) -> None:
        headers = bearer(self._token)
        while not self._stop.is_set():
            with (
                suppress(OSError, http.client.HTTPException),
                held_stream(self._url, self.node_id, headers, self._last_id) as client,
            ):
                if client.status == 200:
                    self._client = client
                    self._follow(client)
            self._client = None
            self._stop.wait(PACE)

    def _follow(self, client: EventClient) -> None:
        while (frame := client.frame()) is not None:
            if frame.event == "resync_required":
                self.received.append(self._pulled())
            elif frame.event:
                self.received.append(json.loads(frame.data)["id"])
            self._last_id = client.last_id
            if frame.retry:
                self._is_open.set()

    def _pulled(self) -> int:
        """The number that a pull shows, which an agent sends then."""
        while not self._stop.wait(PACE):
            with suppress(OSError, http.client.HTTPException):
                reply = ask(self._url, pull_path(self.node_id), bearer(self._token))
                if reply.status == 200:
                    return written(reply.json)
        return 0


def _shut_down(client: EventClient) -> None:
    """The thread that waits for the next byte reads the end."""
    with socket.socket(fileno=os.dup(client.response.fileno())) as opened:
        opened.shutdown(socket.SHUT_RDWR)
