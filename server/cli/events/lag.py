"""``plexsphere-state events lag``: how far the stream is behind the ledger."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict

import typer

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode
from server.cli.formats import counted
from server.cli.options import AsJson, Dsn
from server.cli.screen import write_json

EXAMPLE = "plexsphere-state events lag"
SECONDS = 5.0
LATE_SECONDS = 5.0


def lag(dsn: Dsn = "", as_json: AsJson = False) -> None:
    """Show how many events wait for the stream, and for how long the oldest does.

    Exit code 1 means longer than 5 seconds: the relay does not run, or NATS is away.
    """
    from composer.deadline import Deadline
    from db.events import PostgresEvents

    with closing(PostgresEvents(answering_dsn(dsn))) as events:
        found = events.lag(Deadline.after(SECONDS, time.monotonic))
    if as_json:
        write_json(asdict(found), indent=None)
    else:
        oldest = f", the oldest for {found.seconds:.1f} s" if found.waiting else ""
        typer.echo(f"{counted(found.waiting, 'event')} waiting{oldest}")
    if found.seconds > LATE_SECONDS:
        raise typer.Exit(ExitCode.DIFFERENT)
