"""``plexsphere.events``: rows that wait for the stream, and rows that are published."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from composer.deadline import Deadline
from composer.events import (
    BridgeChange,
    Change,
    LedgerEvent,
    PeerChange,
    PolicyChange,
    SigningKeyRotated,
    StateChange,
)
from composer.peers import PeerRow
from db import rows
from db.connections import Row, SingleConnection, WriteSession
from db.locks import EVENTS
from db.statements import Prepared

EVENTS_UNPUBLISHED = Prepared("events_unpublished")
EVENTS_PUBLISHED = Prepared("events_published")

IDLE_SECONDS = 30  # a frozen publisher loses its session, and the election, after this


@dataclass(frozen=True, slots=True)
class EventLag:
    """``waiting`` rows, the oldest for ``seconds``; ``published`` events so far."""

    waiting: int
    seconds: float
    published: int


class PostgresEvents:
    """The rows, for one thread. Every method raises DatastoreUnavailable or a ComposerError."""

    def __init__(
        self, dsn: str, *, application_name: str = "plexsphere-state relay events"
    ) -> None:
        self._connection = SingleConnection(
            dsn,
            WriteSession,
            application_name=application_name,
            parameters={
                "jit": "off",
                "lock_timeout": "2000",  # milliseconds
                "statement_timeout": "10000",  # milliseconds
                "idle_session_timeout": str(IDLE_SECONDS * 1000),
            },
        )
        self._is_elected = False

    def elect(self, deadline: Deadline) -> bool:
        """Whether this process publishes: one at a time, until its session ends."""
        if not self._is_elected:
            self._is_elected = bool(self._run("events_elect", deadline, lock=EVENTS)[0][0])
        return self._is_elected

    def unpublished(
        self, limit: int, excluded: Collection[UUID], deadline: Deadline
    ) -> list[LedgerEvent]:
        """The oldest rows in the order of ``seq``, without those of the excluded Domains."""
        arguments = {"limit": limit, "excluded": [str(id) for id in excluded]}
        with self._election():
            found = self._connection.fetch(EVENTS_UNPUBLISHED, arguments, deadline)
        return [_event(row) for row in found]

    def published(self, seqs: list[int], events: int, deadline: Deadline) -> None:
        """Mark rows as published, and count the events that they were."""
        if seqs:
            arguments = {"seqs": seqs, "events": events}
            with self._election():
                self._connection.fetch(EVENTS_PUBLISHED, arguments, deadline)

    def delete_published(self, age: timedelta, limit: int, deadline: Deadline) -> int:
        """Delete rows that were published longer ago than ``age``; their number."""
        return len(self._run("events_delete_published", deadline, age=age, limit=limit))

    def delete_unpublished(self, age: timedelta, limit: int, deadline: Deadline) -> int:
        """Delete rows that were written longer ago than ``age`` and wait; their number."""
        return len(self._run("events_delete_unpublished", deadline, age=age, limit=limit))

    def lag(self, deadline: Deadline) -> EventLag:
        """The lag as of now."""
        return EventLag(*self._run("events_lag", deadline)[0])

    def close(self) -> None:
        """Close the connection, which ends the election."""
        self._is_elected = False
        self._connection.close()

    def _run(self, name: str, deadline: Deadline, **arguments: object) -> list[Row]:
        with self._election():
            return self._connection.run(name, arguments, deadline)

    @contextmanager
    def _election(self) -> Iterator[None]:
        """Any error ends the connection, and with it the election."""
        try:
            yield
        except BaseException:
            self._is_elected = False
            raise


def _event(row: Row) -> LedgerEvent:
    seq, event_id, domain_id, node_id, block, content = row
    return LedgerEvent(
        seq=seq,
        id=UUID(event_id),
        domain_id=UUID(domain_id),
        node_id=None if node_id is None else UUID(node_id),
        block=block,
        change=_change(block, content),
    )


def _change(block: str, content: str | None) -> Change | None:
    """The change; None where there is no content, or content of another release."""
    decode = _DECODERS.get(block)
    if content is None or decode is None:
        return None
    try:
        return decode(content)
    except rows.UNDECODABLE:
        return None


def _peer_change(text: str) -> PeerChange:
    node_id, before, after = json.loads(text)
    return PeerChange(_peer_row(node_id, before), _peer_row(node_id, after))


def _peer_row(node_id: str, columns: list[Any] | None) -> PeerRow | None:
    if columns is None:
        return None
    mesh_ip, key, host, port = columns
    return PeerRow(
        node_id=UUID(node_id),
        mesh_ip=mesh_ip,
        public_key=None if key is None else bytes.fromhex(key),
        relay_host=host,
        relay_port=port,
    )


def _bridge_change(text: str) -> BridgeChange:
    found = json.loads(text)
    if found is None:
        return BridgeChange(None, None)
    resource_id, _ = found
    # Again as text, because numbers of a routing policy are decoded in their own way.
    return BridgeChange(UUID(resource_id), rows.bridge_rows(_second(text)))


def _second(text: str) -> str:
    """The second element of a JSON array whose first is a UUID."""
    return text.partition(",")[2].rpartition("]")[0]


def _signing_key(text: str) -> SigningKeyRotated:
    key_id, public_key, previous_key_id, expires = json.loads(text)
    return SigningKeyRotated(
        key_id=key_id,
        public_key=bytes.fromhex(public_key),
        previous_key_id=previous_key_id,
        transition_expires=rows.moment(expires),
    )


_DECODERS: Mapping[str, Callable[[str], Change]] = {
    "peer": _peer_change,
    "policy": lambda text: PolicyChange(rows.rule_set_rows(text)),
    "bridge": _bridge_change,
    "state": lambda text: StateChange(rows.entry_rows(text)),
    "reachability": rows.reachability_row,
    "signing_key": _signing_key,
}
