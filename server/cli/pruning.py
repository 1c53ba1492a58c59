"""``plexsphere-state audit prune``: what is old enough goes, and is named."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import timedelta

import typer

from composer.deadline import Deadline
from db.audit_retention import AuditRetention, Old, OldDay, retention
from db.holders import Holder
from server.cli.failures import ExitCode, Failure
from server.cli.screens import Screen, plain, table, write_json
from server.cli.text import counted

_AGE = re.compile(r"([1-9][0-9]{0,4})([dw])", re.ASCII)
_DAYS = {"d": 1, "w": 7}


@dataclass(slots=True)
class Pruned:
    """What went, what is in use, and by whom."""

    old: Old
    dropped: list[OldDay] = field(default_factory=list)
    busy: list[OldDay] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)
    stray: int = 0

    @property
    def rows(self) -> int:
        """Of the days that went, and of none."""
        return self.stray + sum(day.rows for day in self.dropped)


def age_of(text: str) -> timedelta:
    """``30d`` or ``4w``: at least a day, because days go whole."""
    match = _AGE.fullmatch(text)
    if match is None:
        sentence = f"--older-than is to be days or weeks, such as 30d or 4w, and is {text!r}."
        raise Failure(sentence, ExitCode.USAGE)
    return timedelta(days=int(match[1]) * _DAYS[match[2]])


def run(dsn: str, age: timedelta, yes: bool, wait: float, as_json: bool) -> None:
    """Show what is older than ``age``; with ``yes`` remove it, waiting ``wait`` seconds in all."""
    with retention(dsn) as kept:
        old = kept.old(age)
        done = _prune(kept, old, wait) if yes else Pruned(old)
    if as_json:
        write_json(_json(done, yes))
    else:
        _show(done, yes)
    if done.busy:
        raise typer.Exit(ExitCode.DIFFERENT)


def _prune(kept: AuditRetention, old: Old, wait: float) -> Pruned:
    done = Pruned(old)
    patience = Deadline.after(wait, time.monotonic)
    for day in old.days:
        if kept.drop(day, patience, lambda: None):
            done.dropped.append(day)
        else:
            done.busy.append(day)
            done.holders = kept.holders()
    done.stray = kept.delete_stray(old)
    kept.forget(old)
    return done


def _show(done: Pruned, yes: bool) -> None:
    screen = Screen()
    old = done.old
    if old.days or old.stray:
        rows = [
            (day.day, f"{day.rows:,}", f"{day.size / 2**20:,.1f}", _fate(day, done, yes))
            for day in old.days
        ]
        if old.stray:
            rows.append(("in no day", f"{old.stray:,}", "", "deleted" if yes else "to delete"))
        screen.print(table("", ("day", "rows", "MiB", ""), rows))
    total = done.rows if yes else old.stray + sum(day.rows for day in old.days)
    what = f"{counted(total, 'row')} {'removed' if yes else 'older than that'}"
    screen.print(plain(f"{what}; rows since {old.since.isoformat()} stay.", "bold"))
    if not yes and total + len(old.days):
        screen.print(plain("Nothing was removed: add --yes to do it.", "yellow"))
    for one in done.holders:
        screen.print(plain(f"in use by {one}: run this again later.", "yellow"))


def _fate(day: OldDay, done: Pruned, yes: bool) -> str:
    if not yes:
        return "to drop"
    return "in use, kept" if day in done.busy else "dropped"


def _json(done: Pruned, yes: bool) -> dict[str, object]:
    def days(some: list[OldDay]) -> list[dict[str, object]]:
        return [{"day": str(one.day), "rows": one.rows, "bytes": one.size} for one in some]

    gone = {one.day for one in done.dropped} | {one.day for one in done.busy}
    return {
        "kept_since": done.old.since.isoformat(),
        "dry_run": not yes,
        "dropped": days(done.dropped),
        "in_use": days(done.busy),
        "old": days([one for one in done.old.days if one.day not in gone]),
        "stray_rows": done.stray if yes else done.old.stray,
    }
