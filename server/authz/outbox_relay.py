"""Brings the outbox to SpiceDB: one object for a request, the oldest ones for a relay process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from db.outbox import Claim, OutboxRow, PostgresOutbox
from server.authz.effects import Malformed, changes_in, effect_of
from server.authz.writer import TuplesRefused, TupleWriter

# Objects whose tuples the schema does not know yet are left alone for this long (seconds).
DEFERRED_S = 10.0
Parked = Callable[[OutboxRow, str], None]


class SpiceDbOutboxRelay:
    """Implements ``composer.registry.OutboxRelay``. Thread-safe.

    ``on_parked(row, because)`` is told of every row that SpiceDB will never take. ``clock`` is
    monotonic seconds.
    """

    def __init__(
        self,
        outbox: PostgresOutbox,
        writer: TupleWriter,
        on_parked: Parked,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._writer = writer
        self._on_parked = on_parked
        self._clock = clock
        self._deferred: dict[str, tuple[float, str]] = {}

    @property
    def deferred(self) -> dict[str, str]:
        """Objects that wait for a schema which knows their tuples, and what SpiceDB said."""
        return {one: because for one, (_, because) in self._deferred.items()}

    def settle(self, object: str, deadline: Deadline) -> None:
        """See ``OutboxRelay``; also raises AuthzUnavailable for an object with a parked
        row, because SpiceDB has not taken that one."""
        with self._outbox.claim(object, deadline) as claim:
            waiting = [row for row in claim.rows if row.parked_because is None]
            left = self._bring(claim, waiting, deadline)
            was_parked = len(waiting) < len(claim.rows) and not _purged(waiting)
        # Only now: what could be brought is committed.
        for refused in left.deferred.values():
            raise refused
        if was_parked or left.parked:
            raise AuthzUnavailable(f"a row about {object} is parked: see authz verify and repair")

    def drain(self, limit: int, deadline: Deadline) -> int:
        """Bring the waiting rows of the ``limit`` oldest objects; how many rows are done.

        Leaves alone what others have in hand. For one thread. Raises AuthzUnavailable when SpiceDB
        is away, DatastoreUnavailable.
        """
        now = self._clock()
        self._deferred = {one: why for one, why in self._deferred.items() if why[0] > now}
        with self._outbox.claim_oldest(limit, list(self._deferred), deadline) as claim:
            left = self._bring(claim, claim.rows, deadline)
        for one, refused in left.deferred.items():
            self._deferred[one] = now + DEFERRED_S, str(refused)
        return len(claim.rows) - left.rows

    def _bring(self, claim: Claim, rows: Sequence[OutboxRow], deadline: Deadline) -> _Left:
        """All together where nothing is wrong with any of them, which is always."""
        left = _Left()
        if not rows:
            return left
        try:
            claim.drained(rows, self._write(rows, deadline), _purged(rows))
        except (Malformed, TuplesRefused):
            self._bring_singly(claim, rows, deadline, left)
        return left

    def _bring_singly(
        self, claim: Claim, rows: Sequence[OutboxRow], deadline: Deadline, left: _Left
    ) -> None:
        """In their order. A row that is invalid is passed over; where the schema is not ready for
        one, everything of its object waits."""
        done: list[OutboxRow] = []
        token = ""
        for row in rows:
            if row.object in left.deferred:
                left.rows += 1
                continue
            try:
                token = self._write([row], deadline)
            except (Malformed, TuplesRefused) as refused:
                left.rows += 1
                if isinstance(refused, TuplesRefused) and not refused.for_good:
                    left.deferred[row.object] = refused
                else:
                    left.parked = True
                    claim.parked(row, str(refused))
                    self._on_parked(row, str(refused))
            else:
                done.append(row)
        if done:
            # The last token is at least as late as every one before it.
            claim.drained(done, token, _purged(done))

    def _write(self, rows: Sequence[OutboxRow], deadline: Deadline) -> str:
        effect = effect_of(change for row in rows for change in changes_in(row.tuples))
        token: str | None = None
        for resource in effect.purged:
            token = self._writer.purge(resource, deadline)
        token = self._writer.write(effect.touched, effect.deleted, deadline) or token
        if token is None:
            raise Malformed("no change at all")
        return token


@dataclass(slots=True)
class _Left:
    """What could not be brought: ``rows`` in all, of them those of ``deferred`` objects go on
    waiting, for the reason given; the others were ``parked``."""

    rows: int = 0
    deferred: dict[str, TuplesRefused] = field(default_factory=dict)
    parked: bool = False


def _purged(rows: Sequence[OutboxRow]) -> list[str]:
    """The objects of which a row says that nothing is left: what was parked before is settled."""
    return [
        row.object
        for row in rows
        if isinstance(row.tuples, list)
        and {"operation": "purge", "resource": row.object} in row.tuples
    ]
