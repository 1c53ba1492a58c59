"""Writes rows of the outbox to SpiceDB: one object for a request, the oldest ones for the relay
process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from db.outbox import Claim, OutboxRow, PostgresOutbox
from server.authz.tuples import RelationTuple, TuplesRefused, TupleWriter

# Objects whose tuples the schema does not know yet are not tried again for this long (seconds).
DEFERRED_S = 10.0
OnParked = Callable[[OutboxRow, str], None]


class MalformedRow(ValueError):
    """The row names no change of tuples; the message says why."""


class SpiceDbOutboxRelay:
    """Implements ``composer.registry.OutboxRelay``. Thread-safe.

    ``on_parked(row, because)`` is called for every row that SpiceDB will never accept. ``clock`` is
    monotonic seconds.
    """

    def __init__(
        self,
        outbox: PostgresOutbox,
        writer: TupleWriter,
        on_parked: OnParked,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._writer = writer
        self._on_parked = on_parked
        self._clock = clock
        self._deferred: dict[str, tuple[float, str]] = {}

    @property
    def deferred(self) -> dict[str, str]:
        """Objects that wait for a schema which knows their tuples, and SpiceDB's message."""
        return {object: because for object, (_, because) in self._deferred.items()}

    def deliver(self, object: str, deadline: Deadline) -> None:
        """See ``OutboxRelay``; also raises AuthzUnavailable for an object with a parked row,
        because SpiceDB has not accepted that row."""
        with self._outbox.claim(object, deadline) as claim:
            waiting = [row for row in claim.rows if row.parked_because is None]
            rest = self._deliver(claim, waiting, deadline)
            was_parked = len(waiting) < len(claim.rows) and not _purged_objects(waiting)
        # Only after the claim: the rows that SpiceDB accepted are committed.
        for refused in rest.deferred.values():
            raise refused
        if was_parked or rest.parked:
            raise AuthzUnavailable(f"a row about {object} is parked: see authz verify and repair")

    def drain(self, limit: int, deadline: Deadline) -> int:
        """Deliver the waiting rows of the ``limit`` oldest objects; how many rows are done.

        Leaves out objects that another process has claimed. For one thread. Raises AuthzUnavailable
        when SpiceDB is away, DatastoreUnavailable.
        """
        now = self._clock()
        self._deferred = {
            object: (until, because)
            for object, (until, because) in self._deferred.items()
            if until > now
        }
        with self._outbox.claim_oldest(limit, list(self._deferred), deadline) as claim:
            rest = self._deliver(claim, claim.rows, deadline)
        for object, refused in rest.deferred.items():
            self._deferred[object] = now + DEFERRED_S, str(refused)
        return len(claim.rows) - rest.rows

    def _deliver(self, claim: Claim, rows: Sequence[OutboxRow], deadline: Deadline) -> _Rest:
        """All rows together, or row by row where SpiceDB refuses a row."""
        rest = _Rest()
        if not rows:
            return rest
        try:
            claim.drained(rows, self._write(rows, deadline), _purged_objects(rows))
        except (MalformedRow, TuplesRefused):
            self._deliver_each(claim, rows, deadline, rest)
        return rest

    def _deliver_each(
        self, claim: Claim, rows: Sequence[OutboxRow], deadline: Deadline, rest: _Rest
    ) -> None:
        """Row by row, in their order. An invalid row is parked; where the schema does not know a
        tuple yet, all rows of its object wait."""
        done: list[OutboxRow] = []
        token = ""
        for row in rows:
            if row.object in rest.deferred:
                rest.rows += 1
                continue
            try:
                token = self._write([row], deadline)
            except (MalformedRow, TuplesRefused) as refused:
                rest.rows += 1
                if isinstance(refused, TuplesRefused) and not refused.for_good:
                    rest.deferred[row.object] = refused
                else:
                    rest.parked = True
                    claim.parked(row, str(refused))
                    self._on_parked(row, str(refused))
            else:
                done.append(row)
        if done:
            # The last token is at least as late as every token before it.
            claim.drained(done, token, _purged_objects(done))

    def _write(self, rows: Sequence[OutboxRow], deadline: Deadline) -> str:
        total = net_change(change for row in rows for change in read_changes(row.tuples))
        token: str | None = None
        for resource in total.purged:
            token = self._writer.purge(resource, deadline)
        token = self._writer.write(total.touched, total.deleted, deadline) or token
        if token is None:
            raise MalformedRow("no change at all")
        return token


@dataclass(slots=True)
class _Rest:
    """The ``rows`` that were not delivered: those of ``deferred`` objects wait, the others were
    ``parked``."""

    rows: int = 0
    deferred: dict[str, TuplesRefused] = field(default_factory=dict)
    parked: bool = False


@dataclass(frozen=True, slots=True)
class TupleChange:
    """One operation of a row; a purge has a resource only."""

    operation: str
    tuple: RelationTuple


@dataclass(frozen=True, slots=True)
class NetChange:
    """The last operation on each tuple; purges must be done first.

    SpiceDB refuses a call with a tuple that occurs twice, and touch, delete, touch is a touch.
    """

    purged: tuple[str, ...]
    touched: tuple[RelationTuple, ...]
    deleted: tuple[RelationTuple, ...]


def read_changes(tuples: object) -> list[TupleChange]:
    """The ``tuples`` column of one row (0006_registry.sql). Raises MalformedRow."""
    if not isinstance(tuples, list):
        raise MalformedRow("tuples is no list")
    return [_read_change(change) for change in tuples]


def net_change(changes: Iterable[TupleChange]) -> NetChange:
    """The total of the changes, applied in their order."""
    purged: dict[str, None] = {}
    last: dict[RelationTuple, str] = {}
    for change in changes:
        if change.operation == "purge":
            resource = change.tuple.resource
            purged[resource] = None
            last = {key: value for key, value in last.items() if key.resource != resource}
        else:
            last[change.tuple] = change.operation
    touched = tuple(key for key, operation in last.items() if operation == "touch")
    deleted = tuple(key for key, operation in last.items() if operation == "delete")
    return NetChange(tuple(purged), touched, deleted)


def _read_change(value: object) -> TupleChange:
    if not isinstance(value, Mapping):
        raise MalformedRow("a change is no object")
    operation = value.get("operation")
    if operation not in ("touch", "delete", "purge"):
        raise MalformedRow(f"operation is {operation!r}")
    fields = ("resource",) if operation == "purge" else ("resource", "relation", "subject")
    texts = [value.get(name) for name in fields]
    if not all(isinstance(text, str) and text for text in texts):
        raise MalformedRow(f"a {operation} lacks one of {', '.join(fields)}")
    resource, relation, subject = (*map(str, texts), "", "")[:3]
    return TupleChange(operation, RelationTuple(resource, relation, subject))


def _purged_objects(rows: Sequence[OutboxRow]) -> list[str]:
    """The objects that a row deletes entirely: their parked rows need no repair any more."""
    return [
        row.object
        for row in rows
        if isinstance(row.tuples, list)
        and {"operation": "purge", "resource": row.object} in row.tuples
    ]
