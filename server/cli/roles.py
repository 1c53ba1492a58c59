"""A change of a role by ``grant`` or ``revoke``: in the ledger first, then in SpiceDB."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.contact import first_contact
from server.cli.failures import ExitCode, Failure
from server.cli.screen import Screen, plain, write_json

if TYPE_CHECKING:
    from datetime import datetime

    from server.authz.command_adapters import CommandAdapters
    from server.authz.roles import RoleAssignment

    # The roles on an object: relation, subject, since.
    Roles = list[tuple[str, str, datetime]]

SECONDS = 10.0

Subject = Annotated[
    str, typer.Argument(metavar="SUBJECT", help="user:<id>, service:<id> or node:<uuid>.")
]
Relation = Annotated[
    str,
    typer.Argument(
        metavar="RELATION",
        help="manage on the platform; domain-edit, domain-view, auditor on a Domain; "
        "node-agent on a Node.",
    ),
]
Object = Annotated[
    str, typer.Argument(metavar="OBJECT", help="platform, domain:<uuid> or node:<uuid>.")
]


def change_role(
    subject: str,
    relation: str,
    object: str,
    *,
    granted: bool,
    as_json: bool,
    force: bool = False,
) -> None:
    """Grants or revokes, and prints the object's roles. ``force`` revokes the last manager too."""
    from composer.deadline import Deadline
    from composer.errors import AuthzUnavailable
    from server.authz.command_adapters import command_adapters
    from server.authz.roles import NoSuchRole, parse_assignment
    from server.cli.relay import print_parked
    from server.settings import read_settings

    try:
        role = parse_assignment(subject, relation, object)
    except NoSuchRole as error:
        raise Failure(str(error), ExitCode.USAGE) from error
    settings = read_settings(tokenless=True)
    first_contact(settings.dsn)
    with command_adapters(settings, "roles", print_parked) as parts:
        changed, roles = _record(parts=parts, role=role, granted=granted, force=force)
        deadline = Deadline.after(SECONDS, time.monotonic)
        try:
            first_contact(spicedb=settings.spicedb)
            parts.relay.deliver(role.object, deadline)
            holds = parts.checker.check_now(
                principal=role.principal,
                relation=role.role.permission,
                resource=role.object,
                deadline=deadline,
            )
        except AuthzUnavailable as error:
            raise Failure(not_in_force(granted, error), ExitCode.DIFFERENT) from error
    if as_json:
        _write_json(role=role, changed=changed, holds=holds, roles=roles)
    else:
        _show(role=role, changed=changed, holds=holds, roles=roles, granted=granted)


def not_in_force(granted: bool, error: Exception) -> str:
    """The sentence about a change that the ledger has and SpiceDB does not have: SpiceDB may be
    away, or another session may be about to write the row."""
    effect = "the relay will grant it" if granted else "the role holds until the relay revokes it"
    return f"recorded; SpiceDB does not have it yet ({error}): {effect}."


def _record(
    parts: CommandAdapters, role: RoleAssignment, granted: bool, force: bool
) -> tuple[bool, Roles]:
    """Whether the ledger changed, and the roles on the object now."""
    from composer.deadline import Deadline
    from composer.errors import DomainNotFound, NodeNotFound
    from composer.identity import PLATFORM
    from db.roles import LastOfItsRole, PostgresRoles, RoleChange
    from server.authz.roles import relationship
    from server.cli.operators import operator

    grants = PostgresRoles(parts.dsn)
    deadline = Deadline.after(SECONDS, time.monotonic)
    stored = role.tuple
    names = (stored.resource, stored.relation, stored.subject)
    change = RoleChange(*names, granted, operator(), relationship(*names))
    # Only a manager creates Domains, and only this command makes a manager.
    keep_last = role.object == PLATFORM and not granted and not force
    try:
        changed = grants.change(change, deadline, keep_last=keep_last)
        return changed, grants.on(stored.resource, deadline)
    except LastOfItsRole as error:
        sentence = (
            f"{stored.subject} is the last subject that may {role.role.permission} the platform; "
            "nothing was changed: grant the role to another subject first, or add --force."
        )
        raise Failure(sentence) from error
    except (NodeNotFound, DomainNotFound) as error:
        kind = "Node" if isinstance(error, NodeNotFound) else "Domain"
        id = stored.resource.partition(":")[2]
        sentence = f"the ledger has no {kind} {id}; nothing was changed."
        raise Failure(sentence, ExitCode.USAGE) from error
    finally:
        grants.close()


def _write_json(role: RoleAssignment, changed: bool, holds: bool, roles: Roles) -> None:
    from server.authz.roles import permission_of

    listed = [
        {"subject": subject, "relation": permission_of(relation)} for relation, subject, _ in roles
    ]
    write_json({"changed": changed, "holds": holds, "object": role.object, "roles": listed})


def _show(role: RoleAssignment, changed: bool, holds: bool, roles: Roles, granted: bool) -> None:
    from composer.identity import PLATFORM
    from server.authz.roles import permission_of

    subject, permission, object = role.principal.subject, role.role.permission, role.object
    screen = Screen()
    result = ("granted" if granted else "revoked") if changed else "unchanged"
    screen.print(plain(f"{result}: {subject} {permission} {object}", "bold"))
    if holds and not granted:
        screen.print(plain(f"{subject} still has {permission} by another role.", "yellow"))
    for relation, holder, since in roles:
        words = f"  {holder} {permission_of(relation)} since {since:%Y-%m-%d %H:%M}Z"
        screen.print(plain(words))
    if not roles:
        effect = ": nobody can create Domains" if object == PLATFORM else ""
        words = f"  nobody has a role on {object}{effect}."
        screen.print(plain(words, "yellow" if effect else ""))
