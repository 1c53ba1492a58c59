"""Reachability on Postgres: the state of one Node, and the evaluator's sweeps."""

from __future__ import annotations

from uuid import UUID

from composer.deadline import Deadline
from composer.errors import NodeNotFound
from composer.reachability import (
    DEFAULT_POLICY,
    PAUSE_AFTER,
    ReachabilityRow,
    Sweep,
    Transition,
)
from db import rows
from db.clock import TimeOffset, no_offset
from db.connections import ReadSession, Row, Sessions, SingleConnection, WriteSession
from db.locks import EVALUATOR
from db.statements import Prepared

REACHABILITY_OF_NODE = Prepared("reachability_of_node")

# A sweep waits for one lock only, that of the evaluators' own row; milliseconds.
LOCK_TIMEOUT_MS = 1_000
# Behind the caller's deadline; milliseconds.
STATEMENT_TIMEOUT_MS = 10_000


class PostgresReachabilityRepo:
    """Implements composer.reachability.ReachabilityRepo."""

    def __init__(self, pool: Sessions[ReadSession]) -> None:
        self._pool = pool

    def of_node(self, node_id: UUID, deadline: Deadline) -> ReachabilityRow:
        """See composer.reachability.ReachabilityRepo."""
        found = self._pool.fetch(REACHABILITY_OF_NODE, {"node_id": str(node_id)}, deadline)
        if not found:
            raise NodeNotFound(f"node_id={node_id}")
        place = f"node_id={node_id} row_set=reachability"
        return rows.decoded(place, rows.reachability_row, found[0][0])


class PostgresSweeps:
    """Implements server.workers.evaluator.Sweeps, on one connection. Not for several threads."""

    def __init__(
        self,
        dsn: str,
        interval: float,
        time_offset: TimeOffset = no_offset,
        *,
        application_name: str = "plexsphere-state evaluator",
    ) -> None:
        """``interval`` is the time between sweeps, in seconds.

        An elected evaluator that is idle for two intervals loses its session and the election.
        """
        self._connection = SingleConnection(
            dsn,
            WriteSession,
            application_name=application_name,
            parameters={
                "jit": "off",
                "lock_timeout": str(LOCK_TIMEOUT_MS),
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                # A frozen process, or a machine that is gone, must not keep the lock.
                "idle_session_timeout": str(round(2000 * interval)),
            },
        )
        self._time_offset = time_offset
        self._elected = False

    def sweep(self, deadline: Deadline) -> Sweep | None:
        """See server.workers.evaluator.Sweeps."""
        if not self._elected:
            self._elected = bool(self._run("evaluator_elect", {"lock": EVALUATOR}, deadline)[0][0])
        return self._sweep(deadline) if self._elected else None

    def sweep_once(self, deadline: Deadline) -> Sweep:
        """See server.workers.evaluator.Sweeps."""
        return self._sweep(deadline)

    def close(self) -> None:
        """Close the connection, which ends the election."""
        self._elected = False
        self._connection.close()

    def _sweep(self, deadline: Deadline) -> Sweep:
        arguments = {
            "time_offset": self._time_offset(),
            "pause_after": PAUSE_AFTER,
            "stale_after": DEFAULT_POLICY.stale_after,
            "unreachable_after": DEFAULT_POLICY.unreachable_after,
            "elected": self._elected,
        }
        resumed, found = self._run("evaluator_sweep", arguments, deadline)[0]
        transitions = (
            Transition(old_state=old, new_state=new, nodes=nodes, example_ids=tuple(ids))
            for old, new, nodes, ids in found
        )
        return Sweep(tuple(transitions), bool(resumed))

    def _run(self, name: str, arguments: dict[str, object], deadline: Deadline) -> list[Row]:
        """Any error ends the connection, and with it the election."""
        try:
            return self._connection.run(name, arguments, deadline)
        except BaseException:
            self._elected = False
            raise
