"""What SpiceDB should hold by the ledger's word, and rows of the outbox that make it so."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from composer.deadline import Deadline
from db.audit_batch import TURN as AUDIT_TURN
from db.audit_batch import id_behind
from db.grants import PLATFORM_LOCK
from db.pool import ReadPool
from db.statements import statement

# For a scan of a large ledger, and for writers that a repair waits for.
STATEMENT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, order=True)
class LedgerTuple:
    """``object#relation@subject``."""

    object: str
    relation: str
    subject: str


class TupleLedger:
    """Every method raises DatastoreUnavailable or another ComposerError."""

    def __init__(self, dsn: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pool = ReadPool(
            dsn,
            1,
            STATEMENT_SECONDS,
            access={"default_transaction_read_only": "off", "lock_timeout": "5000"},
            application_name="plexsphere-state authz",
            clock=clock,
        )

    def implied(self) -> set[LedgerTuple]:
        """Every relationship that the rows of this moment imply."""
        return {LedgerTuple(*row) for row in self._run("implied_tuples", {})}

    def waiting(self) -> set[str]:
        """The objects whose last changes are still on their way."""
        return {row[0] for row in self._run("objects_waiting", {})}

    def mend(
        self, differing: Sequence[LedgerTuple], relationships: Sequence[str], operator: str
    ) -> None:
        """Write what is to become of each tuple, by a second look at the ledger, to the outbox.

        The audit says ``operator`` for who did it, and one of ``relationships`` for each tuple.
        """
        self._run(
            "mend_tuples",
            {
                "platform_lock": PLATFORM_LOCK,
                "audit_lock": AUDIT_TURN,
                "objects": [one.object for one in differing],
                "relations": [one.relation for one in differing],
                "subjects": [one.subject for one in differing],
                "domains": [id_behind("domain:", one.object) for one in differing],
                "nodes": [id_behind("node:", one.object) for one in differing],
                "relationships": list(relationships),
                "operator": operator,
            },
        )

    def close_parked(self, differing: set[str]) -> int:
        """Parked rows of all objects but ``differing`` are done with; how many."""
        return len(self._run("close_parked", {"differing": sorted(differing)}))

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def _run(self, name: str, arguments: dict[str, object]) -> list[tuple[str, ...]]:
        with self._pool.connection(Deadline.after(STATEMENT_SECONDS, self._clock)) as reading:
            return reading.run(statement(name), arguments)
