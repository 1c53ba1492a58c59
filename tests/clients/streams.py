"""The cases of the event stream: its answer goes on until the client has had its events."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from server.authoring.answers import sample_envelopes
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import ask, bearer


class Changes:
    """A Node with a stream, and what happens to it and its only peer while the stream is open."""

    # peer_added, peer_key_rotated, node_state_updated, peer_removed
    events = 4

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._domain = scratch.domain(stack)
        self.node = str(scratch.registered(stack, self._domain)["node_id"])

    @property
    def credential(self) -> dict[str, str]:
        """The Node's own."""
        return bearer(self._stack.token(f"node:{self.node}"))

    def make(self) -> None:
        """One event for each."""
        peer = str(scratch.registered(self._stack, self._domain)["node_id"])
        self._ask("PUT", f"/v1/nodes/{peer}/public-key", f"node:{peer}", body_now("RotateNodeKey"))
        entry = body_now("PutNodeMetadata")
        self._ask("PUT", f"/v1/nodes/{self.node}/state/metadata/zone", OPERATOR, entry)
        self._ask("DELETE", f"/v1/nodes/{peer}", OPERATOR)

    def _ask(self, method: str, path: str, caller: str, body: bytes | None = None) -> None:
        headers = bearer(self._stack.token(caller)) | (JSON if body else {})
        reply = ask(self._stack.url, path, headers, method=method, body=body)
        assert reply.status < 300, reply.body


def recorded_stream(changed: Callable[[Any], Any]) -> tuple[bytes, int]:
    """A stream with every sample event, and their number. Each envelope is ``changed`` first."""
    frames = [
        f"id: {number}\nevent: {kind}\ndata: {json.dumps(changed(envelope))}\n\n"
        for number, (kind, envelope) in enumerate(sample_envelopes())
    ]
    return "".join(frames).encode(), len(frames)
