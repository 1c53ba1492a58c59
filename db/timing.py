"""The time that a request spends in a part: the call that tells it, and the names of parts."""

from __future__ import annotations

from collections.abc import Callable

# Called with the name of a stage and the moments of its begin and end, in monotonic seconds.
Timed = Callable[[str, float, float], None]

POOL_WAIT = "pool_wait"
POSTGRES = "postgres"
SPICEDB_WAIT = "spicedb_wait"
SPICEDB = "spicedb"


def untimed(stage: str, began: float, ended: float) -> None:
    """Nobody wants to know."""
