"""Event keys: the Ed25519 key of each Domain, which signs the events that its Nodes are sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline


@dataclass(frozen=True, slots=True)
class EventKey:
    """The public half of a key; ``public_key`` is 32 raw bytes."""

    id: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class NewEventKey:
    """A key to store; its private half is encrypted and bound to one Domain."""

    id: str
    public_key: bytes
    encrypted_private_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredEventKey:
    """A key of the ledger. It signs the events of its Domain above ``signs_after``.

    ``transition_expires`` is None for the current key.
    """

    id: str
    public_key: bytes
    encrypted_private_key: bytes = field(repr=False)
    signs_after: int
    transition_expires: datetime | None


@dataclass(frozen=True, slots=True)
class RotatedEventKey:
    """The result of a rotation: the key before is accepted until ``transition_expires``."""

    key: EventKey
    previous_key_id: str
    transition_expires: datetime


class EventKeySource(Protocol):
    """Makes event keys from the operating system's random numbers."""

    def new(self, domain_id: UUID) -> NewEventKey: ...


class EventKeys(Protocol):
    """The event keys of the Domains. It exists only where the service can encrypt them."""

    def current(self, domain_id: UUID, deadline: Deadline) -> EventKey:
        """The key that signs the Domain's events now. A Domain without a key gets one.

        Concurrent callers get the same key. Raises DomainNotFound, DatastoreUnavailable.
        """
        ...
