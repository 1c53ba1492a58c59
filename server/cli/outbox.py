"""``plexsphere-state outbox prune``: events that are old enough go, and are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.groups import Example
from server.cli.options import AsJson, Dsn, usable_dsn
from server.cli.screens import Screen, plain, table, write_json
from server.cli.text import counted

if TYPE_CHECKING:
    from db.outbox_retention import OldRows


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Days or weeks: 30d, 4w.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it; else it is shown.")] = False,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Remove rows of the outbox that are older than AGE and that SpiceDB has taken.

    Without --yes it says what would go. Nobody who writes waits for it. Rows that still wait for
    SpiceDB stay, whatever their age, and so do parked ones; events without relationships go.
    """
    from db.outbox_retention import outbox_retention
    from server.cli.pruning import age_of

    age = age_of(older_than)
    with outbox_retention(usable_dsn(dsn)) as kept:
        old = kept.old(age)
        removed = kept.delete(old) if yes else 0
    if as_json:
        write_json(
            {
                "kept_since": old.since.isoformat(),
                "dry_run": not yes,
                "old": dict(old.rows),
                "removed": removed,
                "held_back": old.held_back,
            }
        )
    else:
        _show(old, removed, yes)


def _show(old: OldRows, removed: int, yes: bool) -> None:
    screen = Screen()
    if old.rows:
        rows = [(kind, f"{number:,}") for kind, number in old.rows.items()]
        screen.print(table("", ("event", "rows"), rows))
    total = removed if yes else sum(old.rows.values())
    what = f"{counted(total, 'row')} {'removed' if yes else 'older than that'}"
    screen.print(plain(f"{what}; rows since {old.since.isoformat()} stay.", "bold"))
    if old.held_back:
        held = counted(old.held_back, "older row")
        screen.print(plain(f"{held} not taken by SpiceDB yet, kept: see doctor.", "yellow"))
    if total and not yes:
        screen.print(plain("Nothing was removed: add --yes to do it.", "yellow"))


COMMANDS: tuple[Example, ...] = ((prune, "plexsphere-state outbox prune --older-than 30d --yes"),)
WORDS = "Look after the events from which SpiceDB follows the ledger."
