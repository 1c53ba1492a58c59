"""``plexsphere-state relay``: brings the outbox to SpiceDB until it is told to stop, or once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.failures import ExitCode, Failure
from server.cli.options import AsJson
from server.cli.screens import write_json
from server.cli.text import counted, printable

if TYPE_CHECKING:
    from db.holders import Holder
    from db.outbox import Lag, OutboxRow
    from server.authz.command_adapters import CommandAdapters
    from server.settings import Settings

ONCE_SECONDS = 5.0
SHOWN = 5  # objects that wait for a schema; --json has all


def relay(
    once: Annotated[
        bool, typer.Option("--once", help="Drain what waits, say how many rows, end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring what the ledger's writers left in the outbox to SpiceDB, until SIGTERM or Ctrl-C.

    Requests bring their own rows before they answer; the relay brings those of a request that found
    SpiceDB away, or was killed. Any number may run. It logs to stdout.

    With --once exit code 1 says that rows still wait, and why, or are parked: SpiceDB calls those
    invalid.
    """
    from server.authz.command_adapters import command_adapters
    from server.settings import read_settings
    from server.telemetry.recorders import record_parked_row

    settings = read_settings(tokenless=True)
    on_parked = say_parked if once else record_parked_row
    with command_adapters(settings, "relay", on_parked) as parts:
        if once:
            _once(parts, as_json)
        else:
            _until_stopped(parts, settings)


def say_parked(row: OutboxRow, because: str) -> None:
    """To a person, beside what the command prints."""
    typer.echo(
        f"parked: row {row.seq} about {printable(row.object)}: {printable(because)}", err=True
    )


def _once(parts: CommandAdapters, as_json: bool) -> None:
    from composer.deadline import Deadline
    from composer.errors import AuthzUnavailable
    from server.workers.relay import drain_batch

    rows = 0
    try:
        while done := drain_batch(parts.relay):
            rows += done
    except AuthzUnavailable as error:
        raise Failure(
            f"{counted(rows, 'row')} drained, then SpiceDB was away ({error})."
        ) from error
    deadline = Deadline.after(ONCE_SECONDS, time.monotonic)
    lag = parts.outbox.lag(deadline)
    holders = parts.outbox.holders(deadline) if lag.waiting else []
    deferred = parts.relay.deferred
    if as_json:
        left: dict[str, object] = {"waiting": lag.waiting, "parked": lag.parked}
        why = {"held_by": [asdict(one) for one in holders], "deferred": deferred}
        write_json({"drained": rows, **left, **why}, indent=None)
    elif lag.waiting or lag.parked:
        said = (
            f"{counted(rows, 'row')} drained; {lag.waiting:,} still waiting, {lag.parked:,} parked"
        )
        typer.echo("\n".join([said, *reasons(lag, holders, deferred)]))
    else:
        typer.echo(f"{counted(rows, 'row')} drained")
    if lag.waiting or lag.parked:
        raise typer.Exit(ExitCode.DIFFERENT)


def reasons(lag: Lag, holders: Sequence[Holder], deferred: Mapping[str, str]) -> list[str]:
    """Why rows are left, a line each; a drainer keeps an object for as long as SpiceDB takes."""
    lines = [f"  in the hands of {one}, which waits for SpiceDB" for one in holders]
    for object, because in list(deferred.items())[:SHOWN]:
        schema = f"waits for SpiceDB's schema ({because}): write server/authz/schema.zed to it"
        lines.append(f"  {object} {schema}")
    if len(deferred) > SHOWN:
        lines.append(f"  and {len(deferred) - SHOWN:,} objects more")
    if lag.waiting and not lines:
        lines.append("  written meanwhile: run this again")
    if lag.parked:
        lines.append("  parked rows are closed by `plexsphere-state authz repair`")
    return [printable(line) for line in lines]


def _until_stopped(parts: CommandAdapters, settings: Settings) -> None:
    from server.telemetry.logs import configure
    from server.workers.loop import run_until_stopped
    from server.workers.relay import relay_loop

    configure(settings.log_format, settings.log_level)
    run_until_stopped(relay_loop(parts.relay, parts.outbox.lag), "relay")
