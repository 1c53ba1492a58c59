"""The events that are made for one stream, as an agent verifies them."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from composer.deadline import Deadline
from composer.errors import EventStreamUnavailable
from composer.event_keys import StoredEventKey
from server.events.keys import EncryptedEventKeys, EventSigners
from server.events.opening import OpeningEvents
from tests.envelope_verifier import Verified, verify
from tests.factories import DOMAIN, node_id
from tests.ports.deadlines import in_time

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SOURCE = EncryptedEventKeys(bytes(32))
SCOPES = {f"node:{node_id(1)}"}


class Keys:
    """Implements server.events.keys.StoredEventKeys: a key, and the one before it."""

    def __init__(self, transition_expires: datetime) -> None:
        previous, current = SOURCE.new(DOMAIN), SOURCE.new(DOMAIN)
        self.previous = {previous.id: previous.public_key}
        self.current_key = {current.id: current.public_key}
        self.reads = 0
        self._stored = [
            StoredEventKey(key.id, key.public_key, key.encrypted_private_key, after, expires)
            for key, after, expires in ((previous, 0, transition_expires), (current, 7, None))
        ]

    def current(self, domain_id: UUID, deadline: Deadline) -> Any:
        raise AssertionError

    def stored(self, domain_ids: Any, deadline: Deadline) -> dict[UUID, list[StoredEventKey]]:
        self.reads += 1
        return {DOMAIN: self._stored}


def opening(keys: Keys, must_pull: bool, source: EncryptedEventKeys = SOURCE) -> list[bytes]:
    made = OpeningEvents(EventSigners(keys, source), lambda: NOW)
    return list(made.opening(DOMAIN, node_id(1), must_pull, in_time()))


def seen(keys: dict[str, bytes], data: bytes) -> Verified:
    return verify(data, keys, SCOPES)


@pytest.mark.parametrize("must_pull", [False, True])
def test_a_transition_is_told_and_signed_with_the_previous_key(must_pull: bool) -> None:
    keys = Keys(NOW + timedelta(hours=1))
    rotated, *others = opening(keys, must_pull)
    event = seen(keys.previous, rotated)
    ((key_id, public_key),), (previous_id,) = keys.current_key.items(), keys.previous
    assert (event.type, event.payload) == (
        "signing_key_rotated",
        {
            "key_id": key_id,
            "public_key": b64encode(public_key).decode(),
            "previous_key_id": previous_id,
            "transition_expires": "2026-11-23T09:00:00Z",
        },
    )
    # Whoever has applied it knows the current key too.
    types = [seen(keys.current_key, data).type for data in others]
    assert types == (["resync_required"] if must_pull else [])
    assert keys.reads == 1


def test_after_the_transition_only_a_resync_is_told() -> None:
    keys = Keys(NOW)
    assert opening(keys, must_pull=False) == []
    (resync,) = opening(keys, must_pull=True)
    assert seen(keys.current_key, resync).payload == {"reason": "events_lost"}


def test_a_key_that_does_not_decrypt_opens_no_stream() -> None:
    """Nothing could be signed for it; whoever has set the wrong KEK can mend that."""
    with pytest.raises(EventStreamUnavailable):
        opening(Keys(NOW), must_pull=False, source=EncryptedEventKeys(b"w" * 32))
