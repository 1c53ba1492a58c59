"""Signed envelopes as frames of an event stream, validated against the contract like any answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.authn.strict import json_object
from server.contract.schemas import Validator
from server.events.envelope import MAX_BYTES

MAX_DEPTH = 64  # deeper than any declared schema
KEEP_ALIVE = b":keep-alive\n\n"


class UnsendableEvent(Exception):
    """An envelope that must not leave; the message has no value of it."""


class EventFrames:
    """Makes frames of envelopes that the contract declares."""

    def __init__(self, declared: Mapping[str, Validator]) -> None:
        """``declared`` has the schema of each type of event."""
        self._declared = declared

    def checked(self, envelope: bytes) -> dict[str, Any]:
        """The value of an envelope. Raises UnsendableEvent."""
        if len(envelope) > MAX_BYTES:
            raise UnsendableEvent(f"{len(envelope)} bytes are more than a line may have")
        if b"\n" in envelope or b"\r" in envelope:
            raise UnsendableEvent("more than one line")
        try:
            value = json_object(envelope, MAX_DEPTH)
        except ValueError as error:
            raise UnsendableEvent(f"not a JSON object: {error}") from None
        validator = self._declared.get(str(value.get("type")))
        if validator is None:
            raise UnsendableEvent("the contract has no event of this type")
        fault = validator.fault(value)
        if fault is not None:
            raise UnsendableEvent(f"body{fault.pointer} breaks {fault.rule}")
        return value


def frame(position: int, event_type: str, envelope: bytes) -> bytes:
    """A checked envelope as a frame."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (position, event_type.encode(), envelope)


def end_of_opening(position: int, retry_ms: int) -> bytes:
    """The frame without an event that ends the opening: where the stream is, and how long to wait
    before it is opened again."""
    return b"retry: %d\nid: %d\n\n" % (retry_ms, position)
