"""The roles an operator gives and takes back, each with its row of the outbox."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from composer.deadline import Deadline
from composer.errors import DomainNotFound, NodeNotFound
from composer.identity import PLATFORM
from db.pool import ReadPool
from db.statements import statement

# The advisory lock of writers about the platform: "platform" in ASCII.
PLATFORM_LOCK = 0x706C6174666F726D
STATEMENT_SECONDS = 5.0


class RoleGrants:
    """``plexsphere.role_grants``. Every method raises DatastoreUnavailable."""

    def __init__(self, dsn: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = ReadPool(
            dsn,
            1,
            STATEMENT_SECONDS,
            access={"default_transaction_read_only": "off", "lock_timeout": "2000"},
            application_name="plexsphere-state roles",
            clock=clock,
        )

    def change(
        self, object: str, relation: str, subject: str, granted: bool, deadline: Deadline
    ) -> bool:
        """Give the role or take it back, spelled as SpiceDB does; whether the ledger changed.

        An outbox row is written either way, so that saying it again mends a SpiceDB that lost it.
        Raises NodeNotFound or DomainNotFound when ``object`` is not there to be given a role on.
        """
        kind, _, id = object.partition(":")
        with self._pool.connection(deadline) as reading:
            place = {"kind": kind, "id": None if object == PLATFORM else id, "key": PLATFORM_LOCK}
            found = reading.run(statement("role_lock"), place)
            if not found and object != PLATFORM:
                raise (NodeNotFound if kind == "node" else DomainNotFound)(object)
            changed = reading.run(
                statement("role_change"),
                {
                    "object": object,
                    "relation": relation,
                    "subject": subject,
                    "granted": granted,
                    "domain_id": found[0][0] if found else None,
                },
            )
            reading.run(statement("outbox_commit"))
        return bool(changed[0][0])

    def on(self, object: str, deadline: Deadline) -> list[tuple[str, str, datetime]]:
        """(relation, subject, since) of every role given on ``object``."""
        with self._pool.connection(deadline) as reading:
            found = reading.run(statement("role_list"), {"object": object})
            return [(row[0], row[1], row[2]) for row in found]

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()
