"""The signed envelope of an event: its bytes as Go's encoder prints them, and its signature.

An agent decodes the envelope, prints it again without ``signature``, and verifies that text. So the
signed bytes are exactly what Go prints: no spaces, keys in this order, five characters escaped.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from composer.events import Event, pull_required
from handlers.wire_events import payload_text
from handlers.wire_values import instant

# An agent's scanner ends the stream at a line of 64 KiB. The line has a name and an end.
MAX_BYTES = 64 * 1024 - 1 - len("data: \n")
# In JSON these characters stand in strings only, so every place is escaped.
_ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


class Signer(Protocol):
    """An event key that signs."""

    @property
    def key_id(self) -> str: ...

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """An event to sign: its own id, and ``domain:<uuid>`` or ``node:<uuid>`` as ``scope``."""

    id: UUID
    scope: str
    event: Event


def signed_envelope(sent: Sent, signer: Signer, issued_at: datetime) -> bytes:
    """The envelope: one line of JSON, below 64 KiB as a frame's ``data:`` line.

    A payload that is too long for that is replaced by one that says: pull.
    """
    envelope = _signed(sent=sent, event=sent.event, signer=signer, issued_at=issued_at)
    if len(envelope) <= MAX_BYTES:
        return envelope
    return _signed(sent=sent, event=pull_required(sent.event), signer=signer, issued_at=issued_at)


def _signed(sent: Sent, event: Event, signer: Signer, issued_at: datetime) -> bytes:
    text = (
        f'{{"id":"{sent.id}","type":"{event.type}","scope":"{sent.scope}",'
        f'"key_id":"{signer.key_id}","issued_at":"{instant(issued_at)}",'
        f'"payload":{payload_text(event.payload).translate(_ESCAPES)}}}'
    ).encode()
    signature = b64encode(signer.sign(text))
    return text[:-1] + b',"signature":"' + signature + b'"}'
