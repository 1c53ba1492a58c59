"""The audit rows as lines, as they are written."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from datetime import UTC, datetime

from rich.text import Text

from composer.deadline import Deadline
from db.audit_reader import AuditEntry, AuditFilter, AuditReader
from db.pool import ReadPool
from server.cli.screens import Screen, plain, write_json

READ_SECONDS = 10.0
POLL_SECONDS = 0.5  # a row is visible within 1 s of its pull
BATCH = 1000


def show(dsn: str, where: AuditFilter, limit: int, follow: bool, as_json: bool) -> None:
    """The newest ``limit`` rows, and with ``follow`` every later one until Ctrl-C."""
    # Ctrl-C is how following ends: it is no failure.
    with (
        suppress(KeyboardInterrupt) if follow else nullcontext(),
        closing(ReadPool(dsn, size=1, statement_timeout=READ_SECONDS)) as pool,
    ):
        reader = AuditReader(pool)
        # At least one, to know where to follow from.
        newest = reader.newest(max(1, limit), _deadline())
        cursor = newest[0].seq if newest else 0
        rows = reader.newest(limit, _deadline(), where) if limit else []
        for row in reversed(rows):
            _write(row, as_json)
            cursor = max(cursor, row.seq)
        while follow:
            rows = reader.after(cursor, BATCH, _deadline(), where)
            for row in rows:
                _write(row, as_json)
                cursor = row.seq
            if len(rows) < BATCH:
                time.sleep(POLL_SECONDS)


def _deadline() -> Deadline:
    return Deadline.after(READ_SECONDS, time.monotonic)


def _write(row: AuditEntry, as_json: bool) -> None:
    if as_json:
        write_json({**asdict(row), "occurred_at": _instant(row.occurred_at)}, indent=None)
        return
    granted = row.outcome == "granted"
    Screen().print(
        Text(" ").join(
            (
                plain(_instant(row.occurred_at), "dim"),
                plain(f"{row.outcome:<21}", "green" if granted else "red"),
                plain(f"{row.relation}  {row.subject} -> {row.object}"),
                plain(f"correlation_id={row.correlation_id}", "dim"),
                plain(f"digest={row.digest[:12]}…" if row.digest else "", "dim"),
            )
        )
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
