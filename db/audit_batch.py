"""One batch of audit rows into Postgres, on a connection that is the writer's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg2.extensions import connection

from composer.deadline import Deadline
from composer.errors import ComposerError
from composer.ports import AuditRow
from db.connections import connect, fetch, with_defaults
from db.errors import ledger_errors
from db.statements import statement

CONNECT_TIMEOUT = 2.0  # seconds
# The advisory lock by which writers take turns: "auditrow" in ASCII.
TURN = 0x6175646974726F77
PARAMETERS = {"lock_timeout": "2000", "statement_timeout": "5000"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row on its way; ``at`` is on the sink's monotonic clock, in seconds."""

    id: UUID
    at: float
    row: AuditRow


class AuditBatchWriter:
    """Not for several threads."""

    def __init__(self, dsn: str, application_name: str, clock: Callable[[], float]) -> None:
        self._dsn = with_defaults(dsn, PARAMETERS, application_name=application_name)
        self._clock = clock
        self._connection: connection | None = None

    def write(self, batch: Sequence[Recorded], deadline: Deadline) -> None:
        """All of ``batch`` or an error, after which it may be in doubt: write it again.

        Raises DatastoreUnavailable or another ComposerError.
        """
        try:
            with ledger_errors("writing audit rows"):
                if self._connection is None:
                    self._connection = connect(self._dsn, deadline.at_most(CONNECT_TIMEOUT))
                columns = self._columns(batch)
                fetch(self._connection, statement("audit_insert"), columns, deadline)
        except ComposerError:
            self.close()
            raise

    def close(self) -> None:
        """End the connection, if there is one."""
        opened, self._connection = self._connection, None
        if opened is not None:
            opened.close()

    def _columns(self, batch: Sequence[Recorded]) -> dict[str, object]:
        now = self._clock()
        return {
            "turn": TURN,
            "id": [str(recorded.id) for recorded in batch],
            "age": [now - recorded.at for recorded in batch],
            "relation": [_storable(recorded.row.relation) for recorded in batch],
            "outcome": [_storable(recorded.row.outcome) for recorded in batch],
            "subject": [_storable(recorded.row.subject) for recorded in batch],
            "object": [_storable(recorded.row.object) for recorded in batch],
            "correlation_id": [_storable(recorded.row.correlation_id) for recorded in batch],
            "digest": [_storable(recorded.row.digest) for recorded in batch],
        }


def _storable(text: str | None) -> str | None:
    """What Postgres cannot hold (NUL, lone surrogates) is replaced: one such row must not block."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
