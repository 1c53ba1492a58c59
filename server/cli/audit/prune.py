"""``plexsphere-state audit prune``: removes old audit rows, a whole day at a time."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode
from server.cli.formats import counted
from server.cli.options import AsJson, Dsn, OlderThan, Yes, days_or_weeks
from server.cli.screen import Screen, plain, table, write_json

if TYPE_CHECKING:
    from db.audit_retention import AuditRetention, OldAudit, OldDay
    from db.locks import LockHolder

EXAMPLE = "plexsphere-state audit prune --older-than 30d --yes"


@dataclass(slots=True)
class Pruning:
    """The days that were dropped, the days in use, and the sessions that use them.

    ``stray`` is the number of removed rows that lay in no day.
    """

    old: OldAudit
    dropped: list[OldDay] = field(default_factory=list)
    in_use: list[OldDay] = field(default_factory=list)
    lock_holders: list[LockHolder] = field(default_factory=list)
    stray: int = 0

    @property
    def rows(self) -> int:
        """The number of removed rows."""
        return self.stray + sum(day.rows for day in self.dropped)


def prune(
    older_than: OlderThan,
    yes: Yes = False,
    wait: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds to wait for sessions in old days.")
    ] = 60.0,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Remove audit rows that are older than AGE, in whole days of UTC.

    Without --yes it only shows them. Neither pulls nor the service's audit rows wait for it: while
    a session reads an old day, this command tries that day again, for --wait seconds in all. Exit
    code 1 when a day was in use for all that time; that day is kept.
    """
    from db.audit_retention import AuditRetention

    age = days_or_weeks(older_than, "--older-than")
    with closing(AuditRetention(answering_dsn(dsn))) as audit_rows:
        old = audit_rows.old(age)
        done = _remove(audit_rows, old, wait) if yes else Pruning(old)
    if as_json:
        write_json(_json(done, yes))
    else:
        _show(done, yes)
    if done.in_use:
        raise typer.Exit(ExitCode.DIFFERENT)


def _remove(audit_rows: AuditRetention, old: OldAudit, wait: float) -> Pruning:
    from composer.deadline import Deadline

    done = Pruning(old)
    waiting_time = Deadline.after(wait, time.monotonic)
    for day in old.days:
        if audit_rows.drop(day, waiting_time, lambda: None):
            done.dropped.append(day)
        else:
            done.in_use.append(day)
            done.lock_holders = audit_rows.lock_holders()
    done.stray = audit_rows.delete_default(old)
    audit_rows.delete_departed(old)
    return done


def _show(done: Pruning, yes: bool) -> None:
    screen = Screen()
    old = done.old
    if old.days or old.in_default:
        rows: list[tuple[object, ...]] = [
            (day.day, f"{day.rows:,}", f"{day.size / 2**20:,.1f}", _result(day, done, yes))
            for day in old.days
        ]
        if old.in_default:
            rows.append(("in no day", f"{old.in_default:,}", "", "deleted" if yes else "to delete"))
        screen.print(table("", ("day", "rows", "MiB", ""), rows))
    total = done.rows if yes else old.in_default + sum(day.rows for day in old.days)
    result = f"{counted(total, 'row')} {'removed' if yes else 'older than that'}"
    screen.print(plain(f"{result}; rows since {old.since.isoformat()} stay.", "bold"))
    if not yes and total + len(old.days):
        screen.print(plain("Nothing was removed: add --yes to remove these rows.", "yellow"))
    for holder in done.lock_holders:
        screen.print(plain(f"in use by {holder}: run this command again later.", "yellow"))


def _result(day: OldDay, done: Pruning, yes: bool) -> str:
    if not yes:
        return "to drop"
    return "in use, kept" if day in done.in_use else "dropped"


def _json(done: Pruning, yes: bool) -> dict[str, object]:
    def days(listed: list[OldDay]) -> list[dict[str, object]]:
        return [{"day": str(day.day), "rows": day.rows, "bytes": day.size} for day in listed]

    tried = [*done.dropped, *done.in_use]
    return {
        "kept_since": done.old.since.isoformat(),
        "dry_run": not yes,
        "dropped": days(done.dropped),
        "in_use": days(done.in_use),
        "old": days([day for day in done.old.days if day not in tried]),
        "stray_rows": done.stray if yes else done.old.in_default,
    }
