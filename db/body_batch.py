"""A batch of served bodies into Postgres: only those it has not yet, and no more than asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2 import Binary

from composer.deadline import Deadline
from db.connections import Row

Run = Callable[[str, dict[str, object], Deadline], list[Row]]

# The advisory lock by which writers take turns: "nodebody" in ASCII. Not the audit's: rows do not
# wait for bodies.
TURN = 0x6E6F6465626F6479
# The quickest: keys are random, so 10,000 peers become half as large in 37 ms, and with the best
# level 48 % in 116 ms.
LEVEL = 1


@dataclass(frozen=True, slots=True)
class ServedBody:
    """A body on its way; ``at`` is on the sink's monotonic clock, in seconds.

    ``body`` is None where it is too large to be kept; ``size`` is what it had, in bytes.
    """

    at: float
    node_id: str
    digest: str
    size: int
    body: bytes | None


def keep_bodies(
    run: Run,
    batch: Sequence[ServedBody],
    per_node: int,
    clock: Callable[[], float],
    deadline: Deadline,
) -> None:
    """Two statements, the second only where something is missing: most pulls bring nothing new.

    Each Node keeps its newest ``per_node``. Raises what ``run`` raises.
    """
    now = run("audit_clock", {}, deadline)[0][0]
    since = clock()
    found = run("node_bodies_missing", _columns(batch, now, since), deadline)
    missing = {(node_id, digest) for node_id, digest in found}
    fresh = [one for one in batch if (one.node_id, one.digest) in missing]
    if fresh:
        packed = [None if one.body is None else zlib.compress(one.body, LEVEL) for one in fresh]
        more: Mapping[str, object] = {
            "bytes": [one.size for one in fresh],
            "body": [None if body is None else Binary(body) for body in packed],
            "per_node": per_node,
        }
        run("node_bodies_write", {**_columns(fresh, now, since), **more}, deadline)


def _columns(batch: Sequence[ServedBody], now: datetime, since: float) -> dict[str, object]:
    return {
        "lock": TURN,
        "now": now,
        "age": [since - one.at for one in batch],
        "node_id": [one.node_id for one in batch],
        "digest": [one.digest for one in batch],
    }
