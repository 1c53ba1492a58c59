"""The advisory locks of the ledger, and the sessions that hold a lock on a table.

Each key is eight ASCII characters. Any numbers will do, as long as no two are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MIGRATIONS = 0x706C657873706865  # "plexsphe"
EVALUATOR = 0x6576616C75617465  # "evaluate"
EVENTS = 0x6576656E74736F75  # "eventsou"
# The writers of batches of audit rows take turns. So do those of bodies, apart from them.
AUDIT_WRITERS = 0x6175646974726F77  # "auditrow"
BODY_WRITERS = 0x6E6F6465626F6479  # "nodebody"
# Writers of the platform's roles: the platform has no row that they could lock.
PLATFORM_WRITERS = 0x706C6174666F726D  # "platform"
# Shared by those who send a Domain's roles to SpiceDB, exclusive for the platform's.
OUTBOX_ROLES = 0x6F7574626F78746B  # "outboxtk"


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A session with a lock; ``seconds`` is how long its transaction has been open."""

    pid: int
    application_name: str
    seconds: int

    def __str__(self) -> str:
        return f"{self.application_name or 'a session'} (pid {self.pid}) for {self.seconds} s"


# The arguments of lock_holders: the sessions that read or write audit rows, and those that have
# claimed rows of the outbox (SELECT ... FOR UPDATE; a writer of events has another mode).
ON_AUDIT_ROWS: Mapping[str, object] = {"table": "plexsphere.audit_rows", "mode": None}
ON_OUTBOX_CLAIMS: Mapping[str, object] = {"table": "plexsphere.outbox", "mode": "RowShareLock"}
