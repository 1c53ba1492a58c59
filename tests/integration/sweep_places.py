"""A ledger for the evaluator's tests: Nodes of any silence, and the pauses of who watches them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from composer.reachability import DEFAULT_POLICY, PAUSE_AFTER, Sweep
from db.reachability import PostgresSweeps
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

INTERVAL = 5.0
# What the statement is run with, for tests that run it by themselves.
AS_EVERYWHERE = {
    "time_offset": timedelta(0),
    "pause_after": PAUSE_AFTER,
    "stale_after": DEFAULT_POLICY.stale_after,
    "unreachable_after": DEFAULT_POLICY.unreachable_after,
    "elected": True,
}


class Silences:
    """An empty ledger with one Domain, and time that the test moves."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.hand = Hand(dsn)
        for table in ("evaluator_watch", "nodes", "domains"):
            self.hand.run(f"DELETE FROM plexsphere.{table}")
        self.domain = self.hand.domain()
        self.ahead = timedelta(0)
        self._numbers = iter(range(1, 100_000))

    def close(self) -> None:
        self.hand.close()

    def forward(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)

    def now(self) -> datetime:
        found: datetime = self.hand.run("SELECT clock_timestamp()")[0][0]
        return found + self.ahead

    def node(self, silent: float | None, state: str = "", domain: UUID | None = None) -> UUID:
        """A Node last heard ``silent`` seconds ago, None for never."""
        heard = None if silent is None else self.now() - timedelta(seconds=silent)
        return self.hand.node(
            domain or self.domain,
            next(self._numbers),
            reachability_state=state,
            last_heartbeat_at=heard,
            changed_at="2026-01-01T00:00:00Z",
        )

    def hear(self, node: UUID) -> None:
        """A heartbeat, as the service writes it."""
        self.hand.run(
            "UPDATE plexsphere.nodes SET last_heartbeat_at = statement_timestamp() + %s"
            " WHERE id = %s",
            self.ahead,
            node,
        )

    def state(self, node: UUID) -> str:
        return str(self.row(node)[0])

    def row(self, node: UUID) -> tuple[Any, ...]:
        """State, last heartbeat, last transition."""
        return self.rows()[node]

    def rows(self) -> dict[UUID, tuple[Any, ...]]:
        """State, last heartbeat, last transition of every Node."""
        columns = "id::text, reachability_state, last_heartbeat_at, changed_at"
        found = self.hand.run(f"SELECT {columns} FROM plexsphere.nodes")
        return {UUID(node): tuple(row) for node, *row in found}

    def deaf(self, seconds: float) -> None:
        """So long nobody has swept, by Postgres' own clock, and so long time has passed."""
        self.hand.run(
            "UPDATE plexsphere.evaluator_watch SET swept_at = swept_at - %s",
            timedelta(seconds=seconds),
        )
        self.forward(seconds)

    @contextmanager
    def evaluator(self, interval: float = INTERVAL) -> Iterator[Callable[[], Sweep]]:
        """The elected one; a call is a sweep."""
        with closing(self.sweeps(interval)) as sweeps:

            def sweep() -> Sweep:
                deadline = in_time()
                while deadline.remaining():
                    # The server may need a moment to notice that the last one's session is over.
                    if done := sweeps.sweep(deadline):
                        return done
                raise AssertionError("another one is elected")

            yield sweep

    def sweeps(self, interval: float = INTERVAL) -> PostgresSweeps:
        return PostgresSweeps(self.dsn, interval, lambda: self.ahead)
