"""The roles that an operator grants and revokes, each with its outbox row and its audit row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from composer.deadline import Deadline
from composer.errors import ComposerError, DomainNotFound, NodeNotFound
from composer.identity import PLATFORM
from db.connections import COMMAND_PARAMETERS, SingleConnection, WriteSession
from db.locks import PLATFORM_WRITERS


class LastOfItsRole(ComposerError):
    """Nobody would have the role any more."""


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A role of ``subject`` on ``object``, spelled as in SpiceDB, granted or revoked.

    The audit row says that ``operator`` did it, and names the role as ``relationship``.
    """

    object: str
    relation: str
    subject: str
    granted: bool
    operator: str
    relationship: str


class PostgresRoles:
    """``plexsphere.role_grants``, for one thread. Every method raises DatastoreUnavailable."""

    def __init__(self, dsn: str) -> None:
        self._connection = SingleConnection(
            dsn,
            WriteSession,
            application_name="plexsphere-state roles",
            parameters=COMMAND_PARAMETERS,
        )

    def change(self, wanted: RoleChange, deadline: Deadline, *, keep_last: bool = False) -> bool:
        """Grant or revoke the role; whether the ledger changed.

        The outbox and the audit get a row in either case, so that a repetition repairs a SpiceDB
        that lost the role. Nothing is written when it raises: NodeNotFound or DomainNotFound when
        ``object`` does not exist, and with ``keep_last`` LastOfItsRole when nobody else has the
        role on it.
        """
        arguments = {
            **_arguments(wanted.object),
            "platform_lock": PLATFORM_WRITERS,
            "relation": wanted.relation,
            "subject": wanted.subject,
            "granted": wanted.granted,
            "operator": wanted.operator,
            "relationship": wanted.relationship,
            "keep_last": keep_last,
        }
        found = self._connection.run("role_change", arguments, deadline)
        object_exists, is_allowed, is_changed = found[0]
        if not object_exists:
            is_node = wanted.object.startswith("node:")
            raise (NodeNotFound if is_node else DomainNotFound)(wanted.object)
        if not is_allowed:
            raise LastOfItsRole(wanted.relationship)
        return bool(is_changed)

    def on(self, object: str, deadline: Deadline) -> list[tuple[str, str, datetime]]:
        """(relation, subject, since) of every role on ``object``, the Node's own included."""
        found = self._connection.run("role_list", _arguments(object), deadline)
        return [(relation, subject, since) for relation, subject, since in found]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _arguments(object: str) -> dict[str, object]:
    kind, _, id = object.partition(":")
    return {"object": object, "kind": kind, "id": None if object == PLATFORM else id}
