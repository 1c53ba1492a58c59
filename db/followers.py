"""How far those who follow the ledger are behind it: SpiceDB, by the outbox, and the evaluator."""

from __future__ import annotations

from dataclasses import dataclass

from composer.deadline import Deadline
from db.outbox import Lag
from db.pool import ReadPool
from db.statements import statement


@dataclass(frozen=True, slots=True)
class Followers:
    """``swept`` is how many seconds ago an evaluator looked last; None where none ever did."""

    lag: Lag
    swept: float | None


def followers(pool: ReadPool, deadline: Deadline) -> Followers:
    """As of now. Raises DatastoreUnavailable, or ComposerError for a ledger of another schema."""
    with pool.connection(deadline) as reading:
        lag = Lag(*reading.run(statement("outbox_lag"))[0])
        swept = reading.run(statement("evaluator_age"))
    return Followers(lag, swept[0][0] if swept else None)
