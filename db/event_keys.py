"""Event keys on Postgres."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import DomainNotFound, EventKeyInTransition
from composer.event_keys import (
    EventKey,
    EventKeySource,
    NewEventKey,
    RotatedEventKey,
    StoredEventKey,
)
from db.connections import ReadSession, Sessions, WriteSession
from db.statements import Prepared, statement

CURRENT_EVENT_KEY = Prepared("current_event_key")
ENSURE_EVENT_KEY = Prepared("ensure_event_key")
EVENT_KEYS_OF_DOMAINS = Prepared("event_keys_of_domains")
ROTATE_EVENT_KEY = Prepared("rotate_event_key")
DOMAINS_WITH_EVENT_KEYS = Prepared("domains_with_event_keys")
REPLACE_ENCRYPTED_KEY = Prepared("replace_encrypted_key")


class PostgresEventKeys:
    """Implements composer.event_keys.EventKeys."""

    def __init__(
        self,
        reads: Sessions[ReadSession],
        writes: Sessions[WriteSession],
        source: EventKeySource,
    ) -> None:
        self._reads = reads
        self._writes = writes
        self._source = source

    def current(self, domain_id: UUID, deadline: Deadline) -> EventKey:
        """See composer.event_keys.EventKeys."""
        found = self._reads.fetch(CURRENT_EVENT_KEY, {"domain_id": str(domain_id)}, deadline)
        key_id, public_key = found[0] if found else self._ensured(domain_id, deadline)
        if key_id is None:
            raise DomainNotFound(f"domain_id={domain_id}")
        return EventKey(key_id, bytes(public_key))

    def stored(
        self, domain_ids: Collection[UUID], deadline: Deadline
    ) -> dict[UUID, list[StoredEventKey]]:
        """The keys of Domains, in the order in which they sign. Raises DatastoreUnavailable."""
        arguments = {"domain_ids": [str(domain_id) for domain_id in domain_ids]}
        keys: dict[UUID, list[StoredEventKey]] = {}
        for domain_id, key_id, public_key, private_key, after, expires in self._reads.fetch(
            EVENT_KEYS_OF_DOMAINS, arguments, deadline
        ):
            key = StoredEventKey(
                id=key_id,
                public_key=bytes(public_key),
                encrypted_private_key=bytes(private_key),
                signs_after=after,
                transition_expires=expires,
            )
            keys.setdefault(UUID(domain_id), []).append(key)
        return keys

    def domains(self, after: UUID, limit: int, deadline: Deadline) -> list[UUID]:
        """The next Domains with keys, in the order of ids. Raises DatastoreUnavailable."""
        arguments = {"after": str(after), "limit": limit}
        found = self._reads.fetch(DOMAINS_WITH_EVENT_KEYS, arguments, deadline)
        return [UUID(domain_id) for (domain_id,) in found]

    def replace_encrypted(
        self, domain_id: UUID, key: StoredEventKey, encrypted: bytes, deadline: Deadline
    ) -> bool:
        """Store the private half of a key encrypted anew; whether it was as ``key`` says.

        Raises DatastoreUnavailable.
        """
        arguments = {
            "domain_id": str(domain_id),
            "key_id": key.id,
            "before": key.encrypted_private_key,
            "after": encrypted,
        }
        return bool(self._writes.fetch(REPLACE_ENCRYPTED_KEY, arguments, deadline))

    def rotate(
        self, domain_id: UUID, transition: timedelta, operator: str, deadline: Deadline
    ) -> RotatedEventKey:
        """Give a Domain its next key; the audit row says that ``operator`` did it.

        Raises DomainNotFound, EventKeyInTransition, also where a rotation before it is not over;
        DatastoreUnavailable.
        """
        self.current(domain_id, deadline)
        new = self._source.new(domain_id)
        arguments = _arguments(domain_id, new) | {"transition": transition, "operator": operator}
        ((outcome, previous_id, expires),) = self._writes.fetch(
            ROTATE_EVENT_KEY, arguments, deadline
        )
        if outcome == "in_transition":
            raise EventKeyInTransition(f"until {expires.isoformat()}")
        if outcome != "rotated":
            raise DomainNotFound(f"domain_id={domain_id}")
        return RotatedEventKey(EventKey(new.id, new.public_key), previous_id, expires)

    def _ensured(self, domain_id: UUID, deadline: Deadline) -> tuple[str | None, bytes]:
        arguments = _arguments(domain_id, self._source.new(domain_id))
        ((key_id, public_key),) = self._writes.fetch(ENSURE_EVENT_KEY, arguments, deadline)
        return key_id, public_key


def _arguments(domain_id: UUID, new: NewEventKey) -> dict[str, object]:
    return {
        "domain_id": str(domain_id),
        "key_id": new.id,
        "public_key": new.public_key,
        "private_key": new.encrypted_private_key,
    }


def has_event_keys(sessions: Sessions[ReadSession], deadline: Deadline) -> bool:
    """Whether any Domain has one. Raises DatastoreUnavailable."""
    with sessions.session(deadline) as session:
        return bool(session.run(statement("any_event_key"))[0][0])
