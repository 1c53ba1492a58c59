"""Signed envelopes and events for tests; the signatures are well-formed and sign nothing."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID

from handlers.wire import json_bytes
from server.contract.document import Contract
from server.events.frames import EventFrames, frame
from server.events.window import BusEvent
from tests.factories import DOMAIN, key_bytes, node_id

SIGNATURE = base64.b64encode(bytes(64)).decode()
NOW = 1_796_000_000.0


def declared_frames() -> EventFrames:
    """The frames of the contract."""
    responses = Contract.packaged().operations["GetNodeEvents"].responses
    return EventFrames(responses[200].media["text/event-stream"].events)


def peer_payload(number: int) -> dict[str, Any]:
    """The ``number``-th Node as a peer."""
    key = base64.b64encode(key_bytes(number)).decode()
    return {
        "node_id": str(node_id(number)),
        "mesh_ip": f"10.42.{number // 256}.{number % 256}",
        "public_key": key,
    }


def envelope(
    event_type: str = "peer_added",
    scope: str = f"domain:{DOMAIN}",
    payload: dict[str, Any] | None = None,
    **changes: Any,
) -> bytes:
    """The bytes of an event; ``None`` removes a member."""
    value = {
        "id": "1",
        "type": event_type,
        "scope": scope,
        "key_id": "9f86d081884c7d65",
        "issued_at": "2026-11-23T08:00:00.25Z",
        "payload": peer_payload(9) if payload is None else payload,
        "signature": SIGNATURE,
        **changes,
    }
    return json_bytes({name: part for name, part in value.items() if part is not None})


def event(sequence: int, **changes: Any) -> BusEvent:
    """An event of the Domain; its frame tells its sequence."""
    values: dict[str, Any] = {
        "sequence": sequence,
        "seq": sequence,
        "domain_id": DOMAIN,
        "node_id": None,
        "peer_id": None,
        "published": NOW,
        "frame": frame(sequence, "peer_added", envelope(id=str(sequence))),
    }
    return BusEvent(**(values | changes))


def read_frames(text: bytes) -> list[tuple[int, str, dict[str, Any]]]:
    """Position, type and envelope of every whole frame with data."""
    found = []
    for block in text.decode().split("\n\n")[:-1]:
        lines = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        fields = {name: value for name, _, value in lines}
        if "data" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


def last_id(text: bytes) -> int:
    """The position that a client knows after these bytes."""
    ids = [line for line in text.decode().split("\n") if line.startswith("id: ")]
    return int(ids[-1].removeprefix("id: "))


OTHER_DOMAIN = UUID("0190b2c4-0000-7000-8000-00000000d0d1")
