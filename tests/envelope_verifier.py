"""A verifier of signed envelopes, written from docs/design.md (Events) alone.

It does what an agent does: decode the envelope, print it again as Go's encoder would, verify that
text. It must share no code with the service.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MEMBERS = ["id", "type", "scope", "key_id", "issued_at", "payload", "signature"]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,8}[1-9])?Z"


class Refused(Exception):
    """An agent would not accept the envelope."""


@dataclass(frozen=True)
class Verified:
    """An envelope that an agent accepts; ``payload_text`` as it was sent."""

    id: str
    type: str
    scope: str
    key_id: str
    issued_at: str
    payload: Any
    payload_text: str


def verify(data: bytes, keys: Mapping[str, bytes], scopes: set[str]) -> Verified:
    """``keys`` are the public keys that the agent trusts, ``scopes`` those that concern it."""
    if len(b"data: " + data) >= 65_536 or b"\n" in data:
        raise Refused("longer than a line may be")
    text = data.decode("utf-8")
    members = json.loads(text, object_pairs_hook=lambda pairs: pairs)
    if [name for name, _ in members] != MEMBERS:
        raise Refused("other members, or another order")
    values = json.loads(text)
    if not re.fullmatch(UUID, values["id"]) or not re.fullmatch(MOMENT, values["issued_at"]):
        raise Refused("malformed")
    if values["scope"] not in scopes:
        raise Refused("another scope")
    key = keys.get(values["key_id"])
    if key is None:
        raise Refused("an unknown key")
    payload = raw_payload(text)
    strings = (f"{json.dumps(name)}:{go_string(values[name])}" for name in MEMBERS[:5])
    signed = "{" + ",".join([*strings, f'"payload":{go_escaped(payload)}']) + "}"
    signature = base64.b64decode(values["signature"], validate=True)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed.encode("utf-8"))
    except InvalidSignature:
        raise Refused("the signature is of another text") from None
    return Verified(*(values[name] for name in MEMBERS[:6]), payload_text=payload)


def raw_payload(text: str) -> str:
    """The text of the payload, key order and all; Go keeps it, without insignificant spaces."""
    start = text.index('"payload":') + len('"payload":')
    _, end = json.JSONDecoder().raw_decode(text, start)
    return text[start:end]


def go_string(value: str) -> str:
    return go_escaped(json.dumps(value, ensure_ascii=False))


def go_escaped(text: str) -> str:
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
