"""Writes rows of the outbox to SpiceDB: one object for a request, the oldest ones for the relay
process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from db.outbox import Claim, OutboxRow, PostgresOutbox
from server.authz.tuples import Fence, RelationTuple, TuplesRefused, TupleWriter

# Objects whose tuples the schema does not know yet are not tried again for this long (seconds).
DEFERRED_S = 10.0
# Of the time of a claim; the rest is for the ledger, which must learn what SpiceDB accepted.
SPICEDB_SHARE = 0.8
# The tuples of deleted objects are read for this long in one claim (seconds). A revocation that is
# committed meanwhile waits for the claim to end.
PURGE_SECONDS = 1.0
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
            delivery = self._deliver(claim, waiting, deadline)
            was_parked = len(waiting) < len(claim.rows) and not _purged_objects(waiting)
        # Only after the claim: the rows that SpiceDB accepted are committed.
        for refused in delivery.deferred.values():
            raise refused
        delivery.raise_unavailable()
        if was_parked or delivery.parked:
            raise AuthzUnavailable(f"a row about {object} is parked: see authz verify and repair")

    def drain(self, limit: int, deadline: Deadline) -> int:
        """Deliver the waiting rows of ``limit`` objects; how many rows are done.

        Leaves out objects that another process has claimed. For one thread. Raises AuthzUnavailable
        when SpiceDB is away or too slow, DatastoreUnavailable. What SpiceDB accepted before is done
        all the same.
        """
        now = self._clock()
        self._deferred = {
            object: (until, because)
            for object, (until, because) in self._deferred.items()
            if until > now
        }
        with self._outbox.claim_oldest(limit, list(self._deferred), deadline) as claim:
            delivery = self._deliver(claim, claim.rows, deadline)
        for object, refused in delivery.deferred.items():
            self._deferred[object] = now + DEFERRED_S, str(refused)
        delivery.raise_unavailable()
        return len(delivery.done)

    def _deliver(self, claim: Claim, rows: Sequence[OutboxRow], deadline: Deadline) -> Delivery:
        """First the rows that delete no object, then as many of the others as there is time for."""
        delivery = Delivery({row.object: row.last_change for row in rows})
        spicedb = deadline.at_most(SPICEDB_SHARE * deadline.remaining())
        readable = self._parse(claim, rows, delivery)
        purged = set(_purged_objects([change.row for change in readable]))
        try:
            first = [change for change in readable if change.row.object not in purged]
            self._send(first, spicedb, delivery)
            last = [change for change in readable if change.row.object in purged]
            self._send(self._with_stored(last, spicedb), spicedb, delivery)
        except AuthzUnavailable as error:
            delivery.unavailable = error
        for row, because in delivery.refused:
            self._park(claim=claim, row=row, because=because, delivery=delivery)
        if delivery.done:
            # The last token is at least as late as every token before it.
            claim.drained(
                delivery.done,
                delivery.token,
                purged=_purged_objects(delivery.done),
                last_changes=delivery.last_changes,
            )
        return delivery

    def _parse(
        self, claim: Claim, rows: Sequence[OutboxRow], delivery: Delivery
    ) -> list[RowChanges]:
        parsed = []
        for row in rows:
            try:
                parsed.append(RowChanges(row, read_changes(row.tuples)))
            except MalformedRow as error:
                self._park(claim=claim, row=row, because=str(error), delivery=delivery)
        return parsed

    def _with_stored(self, rows: Sequence[RowChanges], deadline: Deadline) -> list[RowChanges]:
        """The rows with the tuples that their purges delete, and those rows only for which there
        was time. A late write between this reading and the deletion moves the object's Fence."""
        until = deadline.at_most(PURGE_SECONDS)
        stored: dict[str, list[RelationTuple]] = {}
        for object in dict.fromkeys(changes.row.object for changes in rows):
            if stored and until.remaining() <= 0:
                break
            try:
                stored[object] = self._writer.tuples_of(object, deadline)
            except AuthzUnavailable:
                if not stored:
                    raise
                break
        return [
            replace(changes, stored=stored[changes.row.object])
            for changes in rows
            if changes.row.object in stored
        ]

    def _send(self, rows: Sequence[RowChanges], deadline: Deadline, delivery: Delivery) -> None:
        """All rows in one call. Where SpiceDB refuses them, each half, down to single rows."""
        rows = [changes for changes in rows if changes.row.object not in delivery.deferred]
        if not rows:
            return
        try:
            self._write(rows, deadline, delivery)
        except TuplesRefused as refused:
            if self._is_sent_again(
                rows=rows, refused=refused, deadline=deadline, delivery=delivery
            ):
                return
            if len(rows) > 1:
                middle = len(rows) // 2
                for half in (rows[:middle], rows[middle:]):
                    # The first half may have written more tuples of an object that is deleted.
                    is_read = half[0].stored is not None
                    fresh = self._with_stored(half, deadline) if is_read else half
                    self._send(fresh, deadline, delivery)
            elif refused.for_good:
                delivery.refused.append((rows[0].row, str(refused)))
            else:
                delivery.deferred[rows[0].row.object] = refused

    def _is_sent_again(
        self,
        rows: Sequence[RowChanges],
        refused: TuplesRefused,
        deadline: Deadline,
        delivery: Delivery,
    ) -> bool:
        """Send the rows of one object by the number of the last change that SpiceDB has. It is not
        the ledger's where an answer was lost, or where a late write came in."""
        object = rows[0].row.object
        if refused.for_good or any(changes.row.object != object for changes in rows):
            return False
        try:
            number = self._writer.last_change(object, deadline)
            if number == delivery.last_changes[object]:
                return False
            delivery.last_changes[object] = number
            if rows[0].stored is not None:
                stored = self._writer.tuples_of(object, deadline)
                rows = [replace(changes, stored=stored) for changes in rows]
            self._write(rows, deadline, delivery)
        except TuplesRefused:
            return False
        return True

    def _write(self, rows: Sequence[RowChanges], deadline: Deadline, delivery: Delivery) -> None:
        total = net_change(change for changes in rows for change in changes.changes)
        stored = [relation for changes in rows for relation in changes.stored or ()]
        deleted = dict.fromkeys([*stored, *total.deleted])
        fences = [
            Fence(object, delivery.last_changes[object])
            for object in dict.fromkeys(changes.row.object for changes in rows)
        ]
        token = self._writer.write(
            touched=total.touched,
            deleted=[relation for relation in deleted if relation not in total.touched],
            deadline=deadline,
            fences=fences,
        )
        delivery.token = token or delivery.token
        delivery.done += [changes.row for changes in rows]
        delivery.last_changes.update((fence.object, fence.next) for fence in fences)

    def _park(self, claim: Claim, row: OutboxRow, because: str, delivery: Delivery) -> None:
        delivery.parked = True
        claim.parked(row, because)
        self._on_parked(row, because)


@dataclass(frozen=True, slots=True)
class RowChanges:
    """A row, and its changes. ``stored`` are all tuples of an object that the row deletes."""

    row: OutboxRow
    changes: Sequence[TupleChange]
    stored: Sequence[RelationTuple] | None = None


@dataclass(slots=True)
class Delivery:
    """The result of a claim: the rows that are ``done``, and the number of each object's last
    change. All rows of ``deferred`` objects wait for a schema. Rows that are neither done nor
    refused wait for the next claim."""

    last_changes: dict[str, int | None]
    done: list[OutboxRow] = field(default_factory=list)
    token: str = ""
    deferred: dict[str, TuplesRefused] = field(default_factory=dict)
    refused: list[tuple[OutboxRow, str]] = field(default_factory=list)
    parked: bool = False
    unavailable: AuthzUnavailable | None = None

    def raise_unavailable(self) -> None:
        """Raise what SpiceDB answered when it was away or too slow."""
        if self.unavailable is not None:
            raise self.unavailable


@dataclass(frozen=True, slots=True)
class TupleChange:
    """One operation of a row; a purge has a resource only."""

    operation: str
    tuple: RelationTuple


@dataclass(frozen=True, slots=True)
class NetChange:
    """The last operation on each tuple. A purge ends the operations before it on its resource.

    SpiceDB refuses a call with a tuple that occurs twice, and touch, delete, touch is a touch.
    """

    touched: tuple[RelationTuple, ...]
    deleted: tuple[RelationTuple, ...]


def read_changes(tuples: object) -> list[TupleChange]:
    """The ``tuples`` column of one row (0006_registry.sql). Raises MalformedRow."""
    if not isinstance(tuples, list) or not tuples:
        raise MalformedRow("tuples is no list of changes")
    return [_read_change(change) for change in tuples]


def net_change(changes: Iterable[TupleChange]) -> NetChange:
    """The total of the changes, applied in their order."""
    last: dict[RelationTuple, str] = {}
    for change in changes:
        if change.operation == "purge":
            resource = change.tuple.resource
            last = {key: value for key, value in last.items() if key.resource != resource}
        else:
            last[change.tuple] = change.operation
    touched = tuple(key for key, operation in last.items() if operation == "touch")
    deleted = tuple(key for key, operation in last.items() if operation == "delete")
    return NetChange(touched, deleted)


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
    if operation == "purge" and not resource.partition(":")[2]:
        raise MalformedRow("a purge names no object")  # SpiceDB reads an empty id as every id
    return TupleChange(operation, RelationTuple(resource, relation, subject))


def _purged_objects(rows: Sequence[OutboxRow]) -> list[str]:
    """The objects that a row deletes entirely: their parked rows need no repair any more."""
    return [
        row.object
        for row in rows
        if isinstance(row.tuples, list)
        and {"operation": "purge", "resource": row.object} in row.tuples
    ]
