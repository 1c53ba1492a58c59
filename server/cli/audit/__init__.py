"""``plexsphere-state audit``: the newest audit rows, and every later row as it is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from server.cli.options import Dsn, domain_id, node_id, usable_dsn
from server.cli.screen import Screen, plain, write_json

if TYPE_CHECKING:
    from composer.deadline import Deadline
    from db.audit_reader import AuditEntry, AuditFilter

SUBCOMMANDS = ("prune",)
EXAMPLE = "plexsphere-state audit --follow --outcome insufficient_relation"
READ_SECONDS = 10.0
POLL_SECONDS = 0.5  # a row is visible within 1 s of its pull
BATCH = 1000  # rows


def audit(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with later rows until Ctrl-C.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=0, max=100_000, help="Number of rows, the newest.")
    ] = 20,
    node: Annotated[str, typer.Option(help="Rows of this Node.", show_default=False)] = "",
    domain: Annotated[
        str, typer.Option(help="Rows of this Domain and its Nodes.", show_default=False)
    ] = "",
    subject: Annotated[
        str, typer.Option(help="Rows of this caller, such as user:ada.", show_default=False)
    ] = "",
    relation: Annotated[
        str, typer.Option(help="node_state.pull, role.grant, ...", show_default=False)
    ] = "",
    outcome: Annotated[
        str, typer.Option(help="granted or insufficient_relation.", show_default=False)
    ] = "",
    dsn: Dsn = "",
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object for each row.")] = False,
) -> None:
    """Show the newest audit rows, the newest last."""
    if context.invoked_subcommand is not None:
        return
    from db.audit_reader import AuditFilter

    wanted = AuditFilter(
        domain_id=domain_id(domain, "--domain") if domain else None,
        object=f"node:{node_id(node, '--node')}" if node else None,
        subject=subject or None,
        relation=relation or None,
        outcome=outcome or None,
    )
    ledger = usable_dsn(dsn)
    # Ctrl-C ends --follow and is no failure.
    with suppress(KeyboardInterrupt) if follow else nullcontext():
        for row in _rows(ledger, wanted, limit, follow):
            _write(row, as_json)


def _rows(dsn: str, wanted: AuditFilter, limit: int, follow: bool) -> Iterator[AuditEntry]:
    """The newest ``limit`` rows, and with ``follow`` every later row, without end."""
    from db.audit_reader import AuditReader
    from db.pool import read_pool

    with closing(read_pool(dsn, size=1, statement_timeout=READ_SECONDS)) as pool:
        reader = AuditReader(pool)
        # Also with --limit 0: the row after which --follow begins.
        newest = reader.newest(max(1, limit), _deadline())
        cursor = newest[0].seq if newest else 0
        rows = reader.newest(limit, _deadline(), wanted) if limit else []
        for row in reversed(rows):
            yield row
            cursor = max(cursor, row.seq)
        while follow:
            rows = reader.after(cursor, BATCH, _deadline(), wanted)
            for row in rows:
                yield row
                cursor = row.seq
            if len(rows) < BATCH:
                time.sleep(POLL_SECONDS)


def _deadline() -> Deadline:
    from composer.deadline import Deadline

    return Deadline.after(READ_SECONDS, time.monotonic)


def _write(row: AuditEntry, as_json: bool) -> None:
    occurred_at = _timestamp(row.occurred_at)
    if as_json:
        write_json({**asdict(row), "occurred_at": occurred_at}, indent=None)
        return
    granted = row.outcome == "granted"
    Screen().print(
        Text(" ").join(
            (
                plain(occurred_at, "dim"),
                plain(f"{row.outcome:<21}", "green" if granted else "red"),
                plain(f"{row.relation}  {row.subject} -> {row.object}"),
                plain(f"correlation_id={row.correlation_id}", "dim"),
                plain(f"digest={row.digest[:12]}…" if row.digest else "", "dim"),
            )
        )
    )


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
