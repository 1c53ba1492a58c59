"""The roles an operator gives and takes back, each with its row of the outbox and of the audit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from composer.deadline import Deadline
from composer.errors import ComposerError, DomainNotFound, NodeNotFound
from composer.identity import PLATFORM
from db.audit_batch import TURN as AUDIT_TURN
from db.pool import ReadPool
from db.statements import statement

# The advisory lock of writers about the platform: "platform" in ASCII.
PLATFORM_LOCK = 0x706C6174666F726D
STATEMENT_SECONDS = 5.0


class LastOfItsRole(ComposerError):
    """Nobody would have the role any more."""


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A role of ``subject`` on ``object``, spelled as SpiceDB does, given or taken back.

    The audit says ``operator`` for who did it, and ``relationship`` for what.
    """

    object: str
    relation: str
    subject: str
    granted: bool
    operator: str
    relationship: str


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

    def change(self, wanted: RoleChange, deadline: Deadline, *, keep_last: bool = False) -> bool:
        """Give the role or take it back; whether the ledger changed.

        The outbox and the audit have a row either way, so that saying it again mends a SpiceDB that
        lost it. Raises NodeNotFound or DomainNotFound when ``object`` is not there, and with
        ``keep_last`` LastOfItsRole when nobody else has the role on it; nothing is written then.
        """
        with self._pool.connection(deadline) as reading:
            arguments = {
                **_place(wanted.object),
                "platform_lock": PLATFORM_LOCK,
                "audit_lock": AUDIT_TURN,
                "relation": wanted.relation,
                "subject": wanted.subject,
                "granted": wanted.granted,
                "operator": wanted.operator,
                "relationship": wanted.relationship,
                "keep_last": keep_last,
            }
            is_there, is_allowed, is_changed = reading.run(statement("role_change"), arguments)[0]
        if not is_there:
            is_node = wanted.object.startswith("node:")
            raise (NodeNotFound if is_node else DomainNotFound)(wanted.object)
        if not is_allowed:
            raise LastOfItsRole(wanted.relationship)
        return bool(is_changed)

    def on(self, object: str, deadline: Deadline) -> list[tuple[str, str, datetime]]:
        """(relation, subject, since) of every role on ``object``, a Node's own among them."""
        with self._pool.connection(deadline) as reading:
            found = reading.run(statement("role_list"), _place(object))
            return [(row[0], row[1], row[2]) for row in found]

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()


def _place(object: str) -> dict[str, object]:
    kind, _, id = object.partition(":")
    return {"object": object, "kind": kind, "id": None if object == PLATFORM else id}
