"""SpiceDB compared with the ledger: missing tuples, surplus tuples, and the repair of both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from composer.deadline import Deadline
from db.tuples import LedgerTuple, TupleLedger
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.roles import relationship
from server.authz.tuples import RelationTuple, TupleReader

READ_SECONDS = 60.0  # for all tuples
# For more objects than this, reading all tuples is faster than reading those of each object.
SINGLE_READS = 200
REPAIR_BATCH = 1000  # tuples
DRAIN_BATCH = 200  # objects
DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Difference:
    """The tuples that differed at both looks.

    ``tuples`` is the number that the ledger implies, ``pending`` the number of objects that were
    left out because their rows wait in the outbox.
    """

    missing: tuple[LedgerTuple, ...]
    surplus: tuple[LedgerTuple, ...]
    tuples: int
    pending: int

    @property
    def all(self) -> tuple[LedgerTuple, ...]:
        return self.missing + self.surplus


class TupleComparison:
    """Compares SpiceDB with the ledger, for one thread.

    Raises AuthzUnavailable, DatastoreUnavailable.
    """

    def __init__(
        self,
        ledger: TupleLedger,
        reader: TupleReader,
        relay: SpiceDbOutboxRelay,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._reader = reader
        self._relay = relay
        self._clock = clock

    def difference(self) -> Difference:
        """Looks twice, because both sides change while they are read."""
        stored = self._stored()
        implied = self._ledger.implied()
        suspects = stored ^ implied
        waiting: set[str] = set()
        if suspects:
            objects = {suspect.object for suspect in suspects}
            waiting = self._ledger.waiting() & objects
            implied = self._ledger.implied()
            stored = self._stored_of(objects - waiting)
        confirmed = {suspect for suspect in suspects if suspect.object not in waiting}
        missing = sorted(confirmed & implied - stored)
        surplus = sorted(confirmed & stored - implied)
        return Difference(
            missing=tuple(missing),
            surplus=tuple(surplus),
            tuples=len(implied),
            pending=len(waiting),
        )

    def repair(self, difference: Difference, operator: str) -> None:
        """Correct SpiceDB through the outbox; the audit rows name ``operator``.

        The ledger is read again behind its writers' locks, so that later changes are not undone.
        """
        for batch in batches(difference.all, REPAIR_BATCH):
            relationships = [
                relationship(differing.object, differing.relation, differing.subject)
                for differing in batch
            ]
            self._ledger.repair(batch, relationships, operator)
            deadline = Deadline.after(DRAIN_SECONDS, self._clock)
            while self._relay.drain(DRAIN_BATCH, deadline):
                pass
            # Another relay may have claimed some of the objects.
            objects = {differing.object for differing in batch}
            for object in sorted(objects & self._ledger.waiting()):
                self._relay.deliver(object, deadline)

    def close_parked(self, remaining: Difference) -> int:
        """Close the parked rows of objects without a difference, after a repair; their number."""
        return self._ledger.close_parked({differing.object for differing in remaining.all})

    def _stored(self) -> set[LedgerTuple]:
        return _as_ledger_tuples(self._reader.all_of_ours(self._read_deadline()))

    def _stored_of(self, objects: set[str]) -> set[LedgerTuple]:
        if len(objects) > SINGLE_READS:
            return self._stored()
        deadline = self._read_deadline()
        return {
            stored
            for object in sorted(objects)
            for stored in _as_ledger_tuples(self._reader.of_resource(object, deadline))
        }

    def _read_deadline(self) -> Deadline:
        return Deadline.after(READ_SECONDS, self._clock)


def _as_ledger_tuples(tuples: Iterable[RelationTuple]) -> set[LedgerTuple]:
    return {
        LedgerTuple(relation.resource, relation.relation, relation.subject) for relation in tuples
    }


def batches(tuples: tuple[LedgerTuple, ...], size: int) -> list[tuple[LedgerTuple, ...]]:
    """Sorted by object, so that most objects are repaired within one batch."""
    ordered = sorted(tuples)
    return [tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)]
