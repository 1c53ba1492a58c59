"""The tuples that SpiceDB must have by the ledger, and the rows of the outbox that repair it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from composer.deadline import Deadline
from db.audit_batches import id_in
from db.connections import Row, SingleConnection, WriteSession
from db.locks import PLATFORM_WRITERS
from db.positions import CheckServer, identify, unchecked

# A large ledger is read whole, and a repair waits for other writers.
STATEMENT_SECONDS = 30.0
PARAMETERS = {
    "jit": "off",
    "lock_timeout": "5000",  # milliseconds
    "statement_timeout": str(round(STATEMENT_SECONDS * 1000)),
}


@dataclass(frozen=True, slots=True, order=True)
class LedgerTuple:
    """``object#relation@subject``."""

    object: str
    relation: str
    subject: str


class TupleLedger:
    """The ledger's relationships, for one thread.

    Every method raises DatastoreUnavailable or another ComposerError.
    """

    def __init__(
        self,
        dsn: str,
        clock: Callable[[], float] = time.monotonic,
        check: CheckServer = unchecked,
    ) -> None:
        """``check`` raises LedgerBehind for a server whose ledger SpiceDB must not follow."""
        self._clock = clock
        self._connection = SingleConnection(
            dsn,
            WriteSession,
            application_name="plexsphere-state authz",
            parameters=PARAMETERS,
            on_connected=lambda opened, deadline: check(partial(identify, opened, deadline)),
        )

    def implied(self) -> set[LedgerTuple]:
        """Every tuple that the rows of this moment imply."""
        return {LedgerTuple(*row) for row in self._run("implied_tuples", {})}

    def waiting(self) -> set[str]:
        """The objects whose last changes are not yet sent."""
        return {row[0] for row in self._run("objects_waiting", {})}

    def repair(
        self, differing: Sequence[LedgerTuple], relationships: Sequence[str], operator: str
    ) -> None:
        """Compare each tuple with the ledger again, and write its repair to the outbox.

        The audit rows say that ``operator`` did it, and name each tuple as in ``relationships``.
        """
        self._run(
            "mend_tuples",
            {
                "platform_lock": PLATFORM_WRITERS,
                "objects": [tuple.object for tuple in differing],
                "relations": [tuple.relation for tuple in differing],
                "subjects": [tuple.subject for tuple in differing],
                "domains": [id_in("domain:", tuple.object) for tuple in differing],
                "nodes": [id_in("node:", tuple.object) for tuple in differing],
                "relationships": list(relationships),
                "operator": operator,
            },
        )

    def close_parked(self, differing: set[str]) -> int:
        """Close the parked rows of all objects that are not ``differing``; their number."""
        return len(self._run("close_parked", {"differing": sorted(differing)}))

    def begin_comparison(self, interval: timedelta) -> bool:
        """Whether a comparison is due; no other process then begins one."""
        return bool(self._run("comparison_begin", {"interval": interval}))

    def end_comparison(self, tuples: int, differences: int) -> None:
        """The numbers of tuples: implied by the ledger; different, which are repaired."""
        self._run("comparison_end", {"tuples": tuples, "differences": differences})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _run(self, name: str, arguments: dict[str, object]) -> list[Row]:
        deadline = Deadline.after(STATEMENT_SECONDS, self._clock)
        return self._connection.run(name, arguments, deadline)
