"""No frame leaves that the contract does not declare."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from composer.entries import DATA, EntryRow, reports
from composer.events import NODE_STATE_UPDATED, Event
from server.events.envelope import MAX_BYTES, Sent, signed_envelope
from server.events.frames import UnsendableEvent, frame
from server.events.keys import EventSigner
from tests.events import declared_frames, envelope, peer_payload
from tests.factories import DOMAIN, node_id

FRAMES = declared_frames()
NODE_SCOPE = f"node:{node_id(1)}"
RULE = {
    "action": "allow",
    "protocol": "any",
    "source_cidr": "10.0.0.0/8",
    "destination_cidr": "10.42.0.7/32",
}
EMPTY = {"metadata": [], "data": []}
REACHABILITY = {
    "state": "stale",
    "last_heartbeat_at": "2026-11-23T08:00:00Z",
    "changed_at": "2026-11-23T08:00:00Z",
}
KEY = "A" * 43 + "="
ROTATED = {
    "key_id": "2",
    "public_key": KEY,
    "previous_key_id": "1",
    "transition_expires": "2026-11-24T08:00:00Z",
}


@pytest.mark.parametrize(
    ("event_type", "payload"),
    [
        ("peer_removed", {"node_id": str(node_id(1))}),
        ("peer_key_rotated", {"node_id": str(node_id(1)), "public_key": KEY}),
        ("peer_endpoint_changed", {"node_id": str(node_id(1))}),
        ("policy_updated", {"rules": [], "fingerprint": ""}),
        ("policy_updated", {"rules": [RULE], "fingerprint": KEY, "revision_id": str(DOMAIN)}),
        ("policy_updated", {"pull_required": True}),
        ("bridge_config_updated", {"effective_config": {}}),
        ("node_state_updated", EMPTY),
        ("reachability_changed", REACHABILITY),
        ("signing_key_rotated", ROTATED),
        ("resync_required", {}),
    ],
)
def test_every_type_of_event_is_declared(event_type: str, payload: dict[str, Any]) -> None:
    assert FRAMES.checked(envelope(event_type, NODE_SCOPE, payload))["type"] == event_type


@pytest.mark.parametrize(
    ("raw", "because"),
    [
        (b"[]", "not a JSON object"),
        (b'{"type":"peer_added","type":"peer_added"}', "not a JSON object"),
        (envelope("peer_surprised"), "no event of this type"),
        (envelope(signature=None), "/required"),
        (envelope(signature="short"), "/signature"),
        (envelope(scope=f"planet:{DOMAIN}"), "/scope"),
        (envelope(payload={"node_id": "one"}), "/payload"),
        (envelope("policy_updated", payload={"rules": []}), "/anyOf"),
        (envelope().replace(b",", b",\n"), "more than one line"),
        (envelope(surprise=1), "/additionalProperties"),
        (envelope(payload={**peer_payload(1), "psk": "secret"}), "/additionalProperties"),
        (envelope(id="x" * MAX_BYTES), "a line may have"),
    ],
)
def test_what_breaks_the_contract_is_not_sent(raw: bytes, because: str) -> None:
    with pytest.raises(UnsendableEvent, match=because):
        FRAMES.checked(raw)


def signed(value_bytes: int) -> bytes:
    """The envelope of entries whose values have so many bytes together."""
    whole, rest = divmod(value_bytes, 4_096)
    sizes = [4_096] * whole + [rest]
    rows = [EntryRow(DATA, f"k{number:02}", "v" * size) for number, size in enumerate(sizes)]
    sent = Sent(node_id(7), NODE_SCOPE, Event(NODE_STATE_UPDATED, reports(rows)))
    signer = EventSigner("9f86d081884c7d65", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    return signed_envelope(sent, signer, datetime(2026, 11, 23, 8, tzinfo=UTC))


def test_what_is_signed_fits_into_a_frame_or_says_pull() -> None:
    spare = 64_000 + MAX_BYTES - len(signed(64_000))
    assert len(signed(spare)) == MAX_BYTES
    assert FRAMES.checked(signed(spare))["payload"]["data"]
    assert FRAMES.checked(signed(spare + 1))["payload"] == {"pull_required": True}


def test_the_longest_line_has_less_than_64_kib() -> None:
    entry = {"key": "k", "value": "v" * 4_096}
    payload = {"metadata": [entry] * 15, "data": []}
    spare = MAX_BYTES - len(envelope("node_state_updated", NODE_SCOPE, payload))
    payload["data"] = [{**entry, "value": "v" * (spare - len('{"key":"k","value":""}'))}]
    longest = envelope("node_state_updated", NODE_SCOPE, payload)
    lines = frame(2**63, FRAMES.checked(longest)["type"], longest).split(b"\n")
    assert max(len(line) + 1 for line in lines) == 65_535
