"""``plexsphere-state grant`` and ``revoke``: roles, in the ledger first and in SpiceDB at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.failures import ExitCode, Failure
from server.cli.options import AsJson
from server.cli.screens import Screen, plain, write_json

if TYPE_CHECKING:
    from datetime import datetime

    from server.authz.command_adapters import CommandAdapters
    from server.authz.roles import RoleAssignment

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


def grant(subject: Subject, relation: Relation, object: Object, as_json: AsJson = False) -> None:
    """Give somebody a role; harmless to repeat. It ends with its Domain or Node.

    It is in the ledger and its audit when this ends, and holds at once, or within a second for
    somebody who was just refused. Exit code 1 when SpiceDB is away: the relay grants it when
    SpiceDB is back.
    """
    _change(subject, relation, object, True, as_json)


def revoke(
    subject: Subject,
    relation: Relation,
    object: Object,
    force: Annotated[
        bool, typer.Option("--force", help="Even when nobody could manage the platform any more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a role back; harmless to repeat. A Node can be kept from being its own agent.

    No request that begins after this ended is answered by that role. Exit code 1 when SpiceDB is
    away: the role holds until the relay has revoked it, which it does when SpiceDB is back.

    The last one who manages the platform stays, with exit code 3, unless --force is given.
    """
    _change(subject, relation, object, False, as_json, force)


def _change(
    subject: str, relation: str, object: str, granted: bool, as_json: bool, force: bool = False
) -> None:
    from composer.deadline import Deadline
    from composer.errors import AuthzUnavailable
    from server.authz.command_adapters import command_adapters
    from server.authz.roles import NoSuchRole, parse_assignment
    from server.cli.relaying import say_parked
    from server.settings import read_settings

    try:
        role = parse_assignment(subject, relation, object)
    except NoSuchRole as wrong:
        raise Failure(str(wrong), ExitCode.USAGE) from wrong
    settings = read_settings(tokenless=True)
    with command_adapters(settings, "roles", say_parked) as parts:
        changed, held = _record(parts, role, granted, force)
        deadline = Deadline.after(SECONDS, time.monotonic)
        try:
            parts.relay.settle(role.object, deadline)
            holds = parts.checker.check_now(
                role.principal, role.role.permission, role.object, deadline
            )
        except AuthzUnavailable as error:
            raise Failure(not_taken_yet(granted, error), ExitCode.DIFFERENT) from error
    _show(role, changed, holds, held, granted, as_json)


def not_taken_yet(granted: bool, error: Exception) -> str:
    """SpiceDB may be away, or somebody else be about to bring the row."""
    then = "it will be granted" if granted else "the role holds until it is revoked"
    return f"recorded; SpiceDB has not taken it yet ({error}): {then} by the relay."


def _record(
    parts: CommandAdapters, role: RoleAssignment, granted: bool, force: bool
) -> tuple[bool, list[tuple[str, str, datetime]]]:
    """Whether the ledger changed, and who has a role on the object now."""
    from composer.deadline import Deadline
    from composer.errors import DomainNotFound, NodeNotFound
    from composer.identity import PLATFORM
    from db.grants import LastOfItsRole, RoleChange, RoleGrants
    from server.authz.roles import relationship
    from server.cli.operators import operator

    grants = RoleGrants(parts.dsn)
    deadline = Deadline.after(SECONDS, time.monotonic)
    one = role.tuple
    names = (one.resource, one.relation, one.subject)
    wanted = RoleChange(*names, granted, operator(), relationship(*names))
    # Only a manager creates Domains, and only this command makes one.
    keep_last = role.object == PLATFORM and not granted and not force
    try:
        changed = grants.change(wanted, deadline, keep_last=keep_last)
        return changed, grants.on(one.resource, deadline)
    except LastOfItsRole as last:
        sentence = (
            f"{one.subject} is the last who may {role.role.permission} the platform; nothing was "
            "changed: grant it to somebody else first, or add --force."
        )
        raise Failure(sentence) from last
    except (NodeNotFound, DomainNotFound) as gone:
        kind = "Node" if isinstance(gone, NodeNotFound) else "Domain"
        sentence = f"the ledger has no {kind} {one.resource.partition(':')[2]}; nothing was changed"
        raise Failure(f"{sentence}.", ExitCode.USAGE) from gone
    finally:
        grants.close()


def _show(
    role: RoleAssignment,
    changed: bool,
    holds: bool,
    held: list[tuple[str, str, datetime]],
    granted: bool,
    as_json: bool,
) -> None:
    from composer.identity import PLATFORM
    from server.authz.roles import permission_of

    subject, permission, object = role.principal.subject, role.role.permission, role.object
    if as_json:
        roles = [{"subject": who, "relation": permission_of(what)} for what, who, _ in held]
        write_json({"changed": changed, "holds": holds, "object": object, "roles": roles})
        return
    screen = Screen()
    word = ("granted" if granted else "revoked") if changed else "as it was"
    screen.print(plain(f"{word}: {subject} {permission} {object}", "bold"))
    if holds and not granted:
        screen.print(plain(f"{subject} still has {permission} by another role.", "yellow"))
    for what, who, since in held:
        screen.print(plain(f"  {who} {permission_of(what)} since {since:%Y-%m-%d %H:%M}Z"))
    if not held:
        left = ": nobody can create Domains" if object == PLATFORM else ""
        screen.print(plain(f"  nobody has a role on {object}{left}.", "yellow" if left else ""))
