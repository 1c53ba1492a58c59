"""The events that are made for one stream, when it opens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

from composer.deadline import Deadline
from composer.events import (
    RESYNC_REQUIRED,
    SIGNING_KEY_ROTATED,
    Event,
    ResyncRequired,
    SigningKeyRotated,
)
from server.events.envelope import Sent, Signer, signed_envelope
from server.events.keys import EventSigners

EVENTS_LOST = "events_lost"  # a reason of ResyncRequired


class OpeningEvents:
    """Implements server.events.streams.SignedEvents."""

    def __init__(
        self, signers: EventSigners, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._signers = signers
        self._now = now

    def resync_required(self, domain_id: UUID, node_id: UUID, deadline: Deadline) -> bytes:
        """See SignedEvents."""
        event = Event(RESYNC_REQUIRED, ResyncRequired(EVENTS_LOST))
        return self._signed(node_id, event, self._signers.of_domain(domain_id, deadline).current)

    def key_transition(self, domain_id: UUID, node_id: UUID, deadline: Deadline) -> bytes | None:
        """See SignedEvents. Signed with the previous key, which is all that the agent may know."""
        signers = self._signers.of_domain(domain_id, deadline)
        previous, expires = signers.previous, signers.transition_expires
        if previous is None or expires is None or expires <= self._now():
            return None
        current = signers.current
        rotated = SigningKeyRotated(
            key_id=current.key_id,
            public_key=current.private_key.public_key().public_bytes_raw(),
            previous_key_id=previous.key_id,
            transition_expires=expires,
        )
        return self._signed(node_id, Event(SIGNING_KEY_ROTATED, rotated), previous)

    def _signed(self, node_id: UUID, event: Event, signer: Signer) -> bytes:
        return signed_envelope(Sent(uuid4(), f"node:{node_id}", event), signer, self._now())
