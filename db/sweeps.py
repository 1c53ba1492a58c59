"""The reachability evaluator's side of the ledger: who sweeps, and one sweep."""

from __future__ import annotations

from psycopg2.extensions import connection

from composer.deadline import Deadline
from composer.reachability import DEFAULT_POLICY, PAUSE_AFTER, Sweep, Transition
from db.ahead import Ahead, real_time
from db.connections import Row, connect, fetch, with_defaults
from db.errors import ledger_errors
from db.statements import statement

# The advisory lock of the one that sweeps: "evaluate" in ASCII.
TURN = 0x6576616C75617465
CONNECT_TIMEOUT = 2.0  # seconds
# The one lock that is waited for is the evaluators' own row; milliseconds.
LOCK_TIMEOUT_MS = 1_000
# The second line behind the caller's deadline; milliseconds.
STATEMENT_TIMEOUT_MS = 10_000


class PostgresSweeps:
    """Implements server.workers.evaluator.Sweeps, over one connection. Not for several threads."""

    def __init__(
        self,
        dsn: str,
        interval: float,
        ahead: Ahead = real_time,
        *,
        application_name: str = "plexsphere-state evaluator",
    ) -> None:
        """Whoever is elected and then does nothing for two ``interval`` loses its session.

        ``interval`` is in seconds; ``ahead`` is how far time is moved, only tests move it.
        """
        parameters = {
            "TimeZone": "UTC",
            "jit": "off",
            "default_transaction_isolation": r"read\ committed",
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            # A frozen process, or a machine that is gone, must not keep the lock.
            "idle_session_timeout": str(round(2000 * interval)),
        }
        self._dsn = with_defaults(dsn, parameters, application_name=application_name)
        self._ahead = ahead
        self._connection: connection | None = None
        self._elected = False

    def sweep(self, deadline: Deadline) -> Sweep | None:
        """See server.workers.evaluator.Sweeps."""
        if not self._elected:
            self._elected = bool(self._run("evaluator_elect", {"lock": TURN}, deadline)[0][0])
        return self._sweep(deadline) if self._elected else None

    def sweep_once(self, deadline: Deadline) -> Sweep:
        """See server.workers.evaluator.Sweeps."""
        return self._sweep(deadline)

    def close(self) -> None:
        """Give the connection up, and with it the election."""
        self._elected = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sweep(self, deadline: Deadline) -> Sweep:
        arguments = {
            "time_offset": self._ahead(),
            "longest_pause": PAUSE_AFTER,
            "stale_after": DEFAULT_POLICY.stale_after,
            "unreachable_after": DEFAULT_POLICY.unreachable_after,
            "elected": self._elected,
        }
        resumed, found = self._run("evaluator_sweep", arguments, deadline)[0]
        transitions = (Transition(was, state, n, tuple(some)) for was, state, n, some in found)
        return Sweep(tuple(transitions), bool(resumed))

    def _run(self, name: str, arguments: dict[str, object], deadline: Deadline) -> list[Row]:
        """One statement; any error ends the connection, and with it the election."""
        try:
            with ledger_errors(name):
                if self._connection is None:
                    self._connection = connect(self._dsn, deadline.at_most(CONNECT_TIMEOUT))
                return fetch(self._connection, statement(name), arguments, deadline)
        except BaseException:
            self.close()
            raise
