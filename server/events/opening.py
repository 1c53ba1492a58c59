"""The events that are made for one stream, when it opens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from composer.deadline import Deadline
from composer.errors import EventStreamUnavailable, SigningUnavailable
from composer.events import (
    RESYNC_REQUIRED,
    SIGNING_KEY_ROTATED,
    Event,
    ResyncRequired,
    SigningKeyRotated,
)
from server.events.envelope import Sent, signed_envelope
from server.events.keys import EventSigner, EventSigners

EVENTS_LOST = "events_lost"  # a reason of ResyncRequired


class OpeningEvents:
    """Implements server.events.streams.SignedEvents."""

    def __init__(
        self, signers: EventSigners, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._signers = signers
        self._now = now

    def opening(
        self, domain_id: UUID, node_id: UUID, must_pull: bool, deadline: Deadline
    ) -> Sequence[bytes]:
        """See SignedEvents.

        Without a key that decrypts there is no stream: nothing could be signed for it.

        ``signing_key_rotated`` comes first, signed with the previous key: the agent may know no
        other.
        """
        try:
            signers = self._signers.of_domain(domain_id, deadline)
        except SigningUnavailable as error:
            raise EventStreamUnavailable(str(error)) from error
        now = self._now()
        events: list[tuple[Event, EventSigner]] = []
        previous, expires = signers.previous, signers.transition_expires
        if previous is not None and expires is not None and expires > now:
            rotated = SigningKeyRotated(
                key_id=signers.current.key_id,
                public_key=signers.current.public_key,
                previous_key_id=previous.key_id,
                transition_expires=expires,
            )
            events.append((Event(SIGNING_KEY_ROTATED, rotated), previous))
        if must_pull:
            events.append((Event(RESYNC_REQUIRED, ResyncRequired(EVENTS_LOST)), signers.current))
        return [
            signed_envelope(Sent(uuid4(), f"node:{node_id}", event), signer, now)
            for event, signer in events
        ]
