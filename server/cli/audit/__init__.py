"""``plexsphere-state audit``: the newest audit rows, and every later row as it is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode, Failure
from server.cli.formats import counted, duration, printable, utc
from server.cli.options import Dsn, domain_id, node_id, seconds
from server.cli.screen import Screen, line, plain, table, write_json

if TYPE_CHECKING:
    from composer.deadline import Deadline
    from db.audit_reader import AuditCount, AuditEntry, AuditFilter, AuditReader

SUBCOMMANDS = ("prune",)
EXAMPLE = (
    "plexsphere-state audit --follow --outcome insufficient_relation\n\n"
    "plexsphere-state audit --summary --since 2h --outcome insufficient_relation"
)
SUMMARY_SINCE = "1h"
READ_SECONDS = 10.0
POLL_SECONDS = 0.5  # a row is visible within 1 s of its pull
BATCH = 1000  # rows
# By the field of the filter.
_OPTIONS = {
    "relation": "--relation",
    "outcome": "--outcome",
    "subject": "--subject",
    "object": "--node",
    "domain_id": "--domain",
}


def audit(
    context: typer.Context,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with later rows until Ctrl-C.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=0, max=100_000, help="Number of rows, the newest.")
    ] = 20,
    summary: Annotated[
        bool, typer.Option("--summary", help="Count rows by relation, subject and object.")
    ] = False,
    since: Annotated[
        str,
        typer.Option(
            metavar="AGE",
            help=f"Rows of the last 300s, 5m, 2h, 1d; with --summary {SUMMARY_SINCE}.",
            show_default=False,
        ),
    ] = "",
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
    """Show the newest audit rows, the newest last.

    With --summary it shows how many rows each relation, each subject and each object has, by
    outcome, the largest numbers first; --limit is then the number of lines for each.

    A value that neither an audit row nor the ledger has is an error; with --follow it is a warning,
    because the row may come.
    """
    if context.invoked_subcommand is not None:
        return
    if summary and follow:
        raise Failure("choose one of --summary and --follow.", ExitCode.USAGE)
    from db.audit_reader import AuditFilter, AuditReader
    from db.pool import read_pool

    age = since or (SUMMARY_SINCE if summary else "")
    wanted = AuditFilter(
        domain_id=domain_id(domain, "--domain") if domain else None,
        object=f"node:{node_id(node, '--node')}" if node else None,
        subject=subject or None,
        relation=relation or None,
        outcome=outcome or None,
        age=timedelta(seconds=seconds(age, "--since")) if age else None,
    )
    with closing(read_pool(answering_dsn(dsn), size=1, statement_timeout=READ_SECONDS)) as pool:
        reader = AuditReader(pool)
        if summary:
            _show_summary(reader=reader, wanted=wanted, limit=limit, as_json=as_json)
            return
        # Ctrl-C ends --follow and is no failure.
        with suppress(KeyboardInterrupt) if follow else nullcontext():
            for row in _rows(reader=reader, wanted=wanted, limit=limit, follow=follow):
                _write(row, as_json)


def _rows(
    reader: AuditReader, wanted: AuditFilter, limit: int, follow: bool
) -> Iterator[AuditEntry]:
    """The newest ``limit`` rows, and with ``follow`` every later row, without end."""
    # Also with --limit 0: the row after which --follow begins.
    newest = reader.newest(max(1, limit), _deadline())
    cursor = newest[0].seq if newest else 0
    rows = reader.newest(limit, _deadline(), wanted) if limit else []
    if not rows:
        _check_values(reader, wanted, follow)
    # Rows are numbered as they are written, which may be a little later than the request.
    yield from sorted(rows, key=lambda row: (row.occurred_at, row.seq))
    cursor = max([cursor, *(row.seq for row in rows)])
    while follow:
        rows = reader.after(seq=cursor, limit=BATCH, deadline=_deadline(), where=wanted)
        for row in rows:
            yield row
            cursor = row.seq
        if len(rows) < BATCH:
            time.sleep(POLL_SECONDS)


def _check_values(reader: AuditReader, wanted: AuditFilter, follow: bool) -> None:
    """Check a filter without rows: a value that exists nowhere is a Failure, or with ``follow`` a
    warning."""
    from handlers.operation import GRANTED, GRANTED_STALE
    from handlers.refusals import INSUFFICIENT_RELATION

    # An outcome that exists may have no row.
    known = {"outcome": (GRANTED, GRANTED_STALE, INSUFFICIENT_RELATION.code)}
    unknown = [
        name
        for name in reader.unknown(_deadline(), wanted)
        if getattr(wanted, name) not in known.get(name, ())
    ]
    if not unknown:
        return
    values = ", ".join(f"{_OPTIONS[name]} {getattr(wanted, name)}" for name in unknown)
    sentence = (
        f"no audit row has {values}: `plexsphere-state audit --summary --since 1d` lists values."
    )
    if not follow:
        raise Failure(sentence, ExitCode.USAGE)
    typer.echo(f"warning: {printable(sentence)}", err=True)


def _show_summary(reader: AuditReader, wanted: AuditFilter, limit: int, as_json: bool) -> None:
    found = reader.summary(limit, _deadline(), wanted)
    if not found.rows:
        _check_values(reader, wanted, follow=False)
    kinds = {"relation": found.relations, "subject": found.subjects, "object": found.objects}
    if as_json:
        counts = {f"by_{kind}": [_count(count, kind) for count in kinds[kind]] for kind in kinds}
        write_json({"rows": found.rows, **counts})
        return
    assert wanted.age is not None
    age = duration(wanted.age.total_seconds())
    parts: list[Text | Table] = [line(counted(found.rows, "row"), f"in the last {age}")]
    for kind, listed in kinds.items():
        rows = [
            (f"{count.rows:,}", count.outcome, utc(count.newest), count.value) for count in listed
        ]
        if rows:
            parts.append(table("", ("rows", "outcome", "newest", kind), rows))
    Screen().print_all(parts)


def _count(count: AuditCount, kind: str) -> dict[str, object]:
    newest = _timestamp(count.newest)
    return {kind: count.value, "outcome": count.outcome, "rows": count.rows, "newest": newest}


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
