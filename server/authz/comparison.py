"""SpiceDB beside the ledger: what is missing there, what is too much, and mending both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from composer.deadline import Deadline
from db.tuples import LedgerTuple, TupleLedger
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.reader import TupleReader
from server.authz.roles import relationship

READ_SECONDS = 60.0  # for every tuple there is
# Above this many objects reading all is quicker than reading each.
FEW = 200
MENDED_AT_ONCE = 1000  # tuples
DRAINED_AT_ONCE = 200  # objects
DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Difference:
    """What stayed so at a second look; ``tuples`` is how many the ledger implies, ``on_their_way``
    how many objects were left out because rows of theirs wait in the outbox."""

    missing: tuple[LedgerTuple, ...]
    surplus: tuple[LedgerTuple, ...]
    tuples: int
    on_their_way: int

    @property
    def all(self) -> tuple[LedgerTuple, ...]:
        return self.missing + self.surplus


class Comparison:
    """For one thread. Raises AuthzUnavailable, DatastoreUnavailable."""

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
        """Looks twice, because both go on changing while they are read."""
        held = self._held_of_all()
        implied = self._ledger.implied()
        suspects = held ^ implied
        waiting: set[str] = set()
        if suspects:
            waiting = self._ledger.waiting() & {one.object for one in suspects}
            implied = self._ledger.implied()
            held = self._held_of({one.object for one in suspects} - waiting)
        sure = {one for one in suspects if one.object not in waiting}
        missing = sorted(sure & implied - held)
        surplus = sorted(sure & held - implied)
        return Difference(tuple(missing), tuple(surplus), len(implied), len(waiting))

    def mend(self, found: Difference, operator: str) -> None:
        """Bring what differs in line through the outbox; the audit says ``operator`` did.

        The ledger is looked at again behind its writers' locks, so what changed since ``found`` is
        not undone.
        """
        for batch in batches(found.all, MENDED_AT_ONCE):
            said = [relationship(one.object, one.relation, one.subject) for one in batch]
            self._ledger.mend(batch, said, operator)
            deadline = Deadline.after(DRAIN_SECONDS, self._clock)
            while self._relay.drain(DRAINED_AT_ONCE, deadline):
                pass
            # Another relay may have some of them in hand.
            for one in sorted({tuple.object for tuple in batch} & self._ledger.waiting()):
                self._relay.settle(one, deadline)

    def close_parked(self, left: Difference) -> int:
        """After a mending: rows that were parked, of objects that agree now; how many."""
        return self._ledger.close_parked({one.object for one in left.all})

    def _held_of_all(self) -> set[LedgerTuple]:
        deadline = Deadline.after(READ_SECONDS, self._clock)
        return {
            LedgerTuple(one.resource, one.relation, one.subject)
            for one in self._reader.all_of_ours(deadline)
        }

    def _held_of(self, objects: set[str]) -> set[LedgerTuple]:
        if len(objects) > FEW:
            return self._held_of_all()
        deadline = Deadline.after(READ_SECONDS, self._clock)
        return {
            LedgerTuple(one.resource, one.relation, one.subject)
            for name in sorted(objects)
            for one in self._reader.of(name, deadline)
        }


def batches(tuples: tuple[LedgerTuple, ...], size: int) -> list[tuple[LedgerTuple, ...]]:
    """In the order of their objects, so that an object's tuples are mended together if they can."""
    ordered = sorted(tuples)
    return [tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)]
