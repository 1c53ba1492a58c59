"""The relay's comparison of SpiceDB with the ledger: at intervals, by one of all relays."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import structlog

from db.tuples import TupleLedger
from server.authz.comparison import Difference
from server.workers.loop import Turn, TurnLoop

POLL_SECONDS = 5.0
# The audit rows of what the relay repairs name it.
MENDER = "service:relay"

_log = structlog.stdlib.get_logger("plexsphere")


class Comparison(Protocol):
    """SpiceDB against the ledger (server/authz/comparison.py)."""

    def difference(self) -> Difference: ...

    def repair(self, difference: Difference, operator: str) -> None: ...


def comparison_loop(ledger: TupleLedger, comparison: Comparison, interval: float) -> TurnLoop:
    """The loop beside the relay's; ``interval`` in seconds."""
    return TurnLoop(
        comparison_turn(ledger, comparison, interval),
        failing="relay_cannot_compare",
        recovered="relay_compares_again",
    )


def comparison_turn(ledger: TupleLedger, comparison: Comparison, interval: float) -> Turn:
    """A turn compares where no relay has done so within the interval, and repairs what differs."""

    def turn() -> float:
        if ledger.begin_comparison(timedelta(seconds=interval)):
            found = comparison.difference()
            if found.all:
                _log.error("authz_differs", missing=len(found.missing), surplus=len(found.surplus))
                comparison.repair(found, MENDER)
            ledger.end_comparison(found.tuples, len(found.all))
        return POLL_SECONDS

    return turn
