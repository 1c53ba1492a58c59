"""``plexsphere-state relay``: writes tuples to SpiceDB and publishes events, or the former once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.contact import first_contact
from server.cli.failures import ExitCode, Failure
from server.cli.formats import counted, printable
from server.cli.options import AsJson
from server.cli.screen import write_json

if TYPE_CHECKING:
    from db.locks import LockHolder
    from db.outbox import OutboxLag, OutboxRow
    from server.authz.command_adapters import CommandAdapters
    from server.settings import Settings
    from server.workers.loop import TurnLoop

EXAMPLE = "plexsphere-state relay\n\nplexsphere-state relay --once"
ONCE_SECONDS = 5.0
SHOWN = 5  # objects that wait for a schema; --json has all


def relay(
    once: Annotated[
        bool, typer.Option("--once", help="Drain the waiting rows, print their number and end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write to SpiceDB what waits in the outbox, and events to NATS, until SIGTERM or Ctrl-C.

    Neither waits for the other; without PLEXSPHERE_NATS_URL or
    PLEXSPHERE_EVENT_KEK no event is published. A request writes
    its own rows of the outbox before it answers; the relay writes the rows of a request that was
    killed, or that SpiceDB did not answer. At intervals one of the relays compares SpiceDB with the
    ledger, and repairs what differs. Any number may run. It logs to stdout.

    With --once it drains the outbox only. Exit code 1 means that rows still wait, with the reason,
    or are parked, because SpiceDB calls them invalid.
    """
    from server.authz.command_adapters import command_adapters
    from server.settings import read_settings
    from server.telemetry.logs import configure
    from server.telemetry.recorders import record_parked_row, record_unsigned, warning_logger
    from server.workers.loop import run_until_stopped
    from server.workers.relay import relay_loop

    settings = read_settings(tokenless=True)
    on_parked = print_parked if once else record_parked_row
    with command_adapters(settings, "relay", on_parked) as parts:
        if once:
            _drain_once(parts, settings, as_json)
        else:
            configure(
                settings.log_format,
                settings.log_level,
                queue=settings.log_queue,
                repeats=settings.log_repeats,
            )
            from server.events.publisher import event_publisher
            from server.workers.events import events_loop

            with (
                comparing(settings) as comparisons,
                event_publisher(settings, record_unsigned, warning_logger("nats")) as publisher,
            ):
                run_until_stopped(
                    relay_loop(parts.relay, parts.outbox.lag),
                    "relay",
                    beside=[*comparisons, events_loop(publisher, time.monotonic)],
                    events=settings.has_events,
                )


@contextmanager
def comparing(settings: Settings) -> Iterator[list[TurnLoop]]:
    """The loop that compares SpiceDB with the ledger at intervals, with connections of its own: no
    row of the outbox waits for a comparison. No loop where the interval is 0."""
    from db.tuples import TupleLedger
    from server.authz.command_adapters import command_adapters
    from server.authz.comparison import TupleComparison
    from server.telemetry.recorders import record_parked_row
    from server.workers.comparison import comparison_loop

    if not settings.compare_interval:
        yield []
        return
    with command_adapters(settings, "comparison", record_parked_row) as parts:
        ledger = TupleLedger(parts.dsn, check=parts.check)
        comparison = TupleComparison(ledger, parts.reader, parts.relay)
        yield [comparison_loop(ledger, comparison, settings.compare_interval)]


def print_parked(row: OutboxRow, reason: str) -> None:
    """Print the parked rows on stderr, beside the output of the command."""
    typer.echo(
        f"parked: row {row.seq} about {printable(row.object)}: {printable(reason)}", err=True
    )


def _drain_once(parts: CommandAdapters, settings: Settings, as_json: bool) -> None:
    from composer.deadline import Deadline
    from composer.errors import AuthzUnavailable
    from server.workers.relay import drain_batch

    rows = 0
    try:
        first_contact(settings.dsn, settings.spicedb)
        while done := drain_batch(parts.relay):
            rows += done
    except AuthzUnavailable as error:
        sentence = f"{counted(rows, 'row')} drained, then SpiceDB did not answer ({error})."
        raise Failure(sentence) from error
    deadline = Deadline.after(ONCE_SECONDS, time.monotonic)
    lag = parts.outbox.lag(deadline)
    lock_holders = parts.outbox.lock_holders(deadline) if lag.waiting else []
    deferred = parts.relay.deferred
    if as_json:
        found: dict[str, object] = {
            "drained": rows,
            "waiting": lag.waiting,
            "parked": lag.parked,
            "locked_by": [asdict(holder) for holder in lock_holders],
            "deferred": deferred,
        }
        write_json(found, indent=None)
    elif lag.waiting or lag.parked:
        summary = (
            f"{counted(rows, 'row')} drained; {lag.waiting:,} still waiting, {lag.parked:,} parked"
        )
        typer.echo("\n".join([summary, *reasons(lag, lock_holders, deferred)]))
    else:
        typer.echo(f"{counted(rows, 'row')} drained")
    if lag.waiting or lag.parked:
        raise typer.Exit(ExitCode.DIFFERENT)


def reasons(
    lag: OutboxLag, lock_holders: Sequence[LockHolder], deferred: Mapping[str, str]
) -> list[str]:
    """The reasons why rows are left, a line each.

    A session locks an object until SpiceDB has answered it.
    """
    lines = [f"  locked by {holder}, which waits for SpiceDB" for holder in lock_holders]
    for object, reason in list(deferred.items())[:SHOWN]:
        remedy = f"waits for SpiceDB's schema ({reason}): run `plexsphere-state authz schema`"
        lines.append(f"  {object} {remedy}")
    if len(deferred) > SHOWN:
        lines.append(f"  and {len(deferred) - SHOWN:,} more objects")
    if lag.waiting and not lines:
        lines.append("  written while this command ran: run it again")
    if lag.parked:
        lines.append("  parked rows are closed by `plexsphere-state authz repair`")
    return [printable(line) for line in lines]
