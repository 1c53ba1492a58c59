"""``plexsphere-state outbox prune``: removes old rows of the outbox that SpiceDB has."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from server.cli.contact import answering_dsn
from server.cli.formats import counted
from server.cli.options import AsJson, Dsn, OlderThan, Yes, days_or_weeks
from server.cli.screen import Screen, plain, table, write_json

if TYPE_CHECKING:
    from db.outbox import OldRows

EXAMPLE = "plexsphere-state outbox prune --older-than 30d --yes"


def prune(older_than: OlderThan, yes: Yes = False, dsn: Dsn = "", as_json: AsJson = False) -> None:
    """Remove rows of the outbox that are older than AGE and that SpiceDB has.

    Without --yes it only shows them. No writer waits for it. Rows that still wait for SpiceDB
    stay, whatever their age, and so do parked rows; events without relationships go.
    """
    from db.outbox import OutboxRetention

    age = days_or_weeks(older_than, "--older-than")
    with closing(OutboxRetention(answering_dsn(dsn))) as outbox:
        old = outbox.old(age)
        removed = outbox.delete(old) if yes else 0
    if as_json:
        write_json(
            {
                "kept_since": old.since.isoformat(),
                "dry_run": not yes,
                "old": dict(old.rows),
                "removed": removed,
                "held_back": old.unsent,
            }
        )
    else:
        _show(old, removed, yes)


def _show(old: OldRows, removed: int, yes: bool) -> None:
    screen = Screen()
    if old.rows:
        rows = [(event, f"{number:,}") for event, number in old.rows.items()]
        screen.print(table("", ("event", "rows"), rows))
    total = removed if yes else sum(old.rows.values())
    result = f"{counted(total, 'row')} {'removed' if yes else 'older than that'}"
    screen.print(plain(f"{result}; rows since {old.since.isoformat()} stay.", "bold"))
    if old.unsent:
        waiting = counted(old.unsent, "older row")
        screen.print(
            plain(f"{waiting} kept: SpiceDB does not have them yet; see doctor.", "yellow")
        )
    if total and not yes:
        screen.print(plain("Nothing was removed: add --yes to remove these rows.", "yellow"))
