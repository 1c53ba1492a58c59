"""Event keys on Postgres."""

from __future__ import annotations

from uuid import UUID

from composer.deadline import Deadline
from composer.errors import DomainNotFound
from composer.event_keys import EventKey, EventKeySource
from db.connections import ReadSession, Sessions, WriteSession
from db.statements import Prepared

CURRENT_EVENT_KEY = Prepared("current_event_key")
ENSURE_EVENT_KEY = Prepared("ensure_event_key")


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

    def _ensured(self, domain_id: UUID, deadline: Deadline) -> tuple[str | None, bytes]:
        new = self._source.new(domain_id)
        arguments = {
            "domain_id": str(domain_id),
            "key_id": new.id,
            "public_key": new.public_key,
            "private_key": new.encrypted_private_key,
        }
        ((key_id, public_key),) = self._writes.fetch(ENSURE_EVENT_KEY, arguments, deadline)
        return key_id, public_key
