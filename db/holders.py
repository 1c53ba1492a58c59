"""Who holds what somebody waits for: a few sessions of Postgres, as a person is told of them."""

from __future__ import annotations

from dataclasses import dataclass

AUDIT_ROWS = {"table": "plexsphere.audit_rows", "mode": None}
# A drainer's claim is SELECT ... FOR UPDATE; who only writes events has another lock.
OUTBOX_CLAIMS = {"table": "plexsphere.outbox", "mode": "RowShareLock"}


@dataclass(frozen=True, slots=True)
class Holder:
    """A session, and for how long (seconds) its transaction has been open."""

    pid: int
    application_name: str
    seconds: int

    def __str__(self) -> str:
        return f"{self.application_name or 'a session'} (pid {self.pid}) for {self.seconds} s"
