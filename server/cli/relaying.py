"""``plexsphere-state relay``: brings the outbox to SpiceDB until it is told to stop, or once."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.failures import ExitCode, Failure
from server.cli.options import AsJson
from server.cli.screens import write_json
from server.cli.text import counted, printable

if TYPE_CHECKING:
    from db.outbox import OutboxRow
    from server.authz.following import Following
    from server.settings import Settings

ONCE_SECONDS = 5.0


class Stopped(BaseException):
    """Somebody asked for the end. Not an Exception: nothing on the way may swallow it."""


def relay(
    once: Annotated[
        bool, typer.Option("--once", help="Drain what waits, say how many rows, end.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring what the ledger's writers left in the outbox to SpiceDB, until SIGTERM or Ctrl-C.

    Requests bring their own rows before they answer; the relay brings those of a request that found
    SpiceDB away, or was killed. Any number may run. It logs to stdout.

    With --once exit code 1 says that rows still wait or are parked: SpiceDB calls those invalid.
    """
    from server.authz.following import following
    from server.observers import outbox_row_parked
    from server.settings import read_settings

    settings = read_settings(tokenless=True)
    on_parked = say_parked if once else outbox_row_parked
    with following(settings, "relay", on_parked) as parts:
        if once:
            _once(parts, as_json)
        else:
            _until_stopped(parts, settings)


def say_parked(row: OutboxRow, because: str) -> None:
    """To a person, beside what the command prints."""
    typer.echo(
        f"parked: row {row.seq} about {printable(row.object)}: {printable(because)}", err=True
    )


def _once(parts: Following, as_json: bool) -> None:
    from composer.deadline import Deadline
    from composer.errors import AuthzUnavailable
    from server.relay import Relay

    run = Relay(parts.relay, parts.outbox.lag)
    rows = 0
    try:
        while done := run.drain_some():
            rows += done
    except AuthzUnavailable as error:
        raise Failure(
            f"{counted(rows, 'row')} drained, then SpiceDB was away ({error})."
        ) from error
    lag = parts.outbox.lag(Deadline.after(ONCE_SECONDS, time.monotonic))
    if as_json:
        write_json({"drained": rows, "waiting": lag.waiting, "parked": lag.parked}, indent=None)
    else:
        left = f"; {lag.waiting:,} still waiting, {lag.parked:,} parked"
        typer.echo(f"{counted(rows, 'row')} drained{left if lag.waiting or lag.parked else ''}")
    if lag.waiting or lag.parked:
        raise typer.Exit(ExitCode.DIFFERENT)


def _until_stopped(parts: Following, settings: Settings) -> None:
    import structlog

    from server.logs import configure
    from server.relay import Relay

    configure(settings.log_format, settings.log_level)
    log = structlog.stdlib.get_logger("plexsphere")
    try:
        # Inside: a signal that comes right after the handler is set finds somebody to catch it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        log.info("relay_started")
        Relay(parts.relay, parts.outbox.lag).run()
    except Stopped as reason:
        log.info("relay_stopped", signal=str(reason))


def _stop(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(signal.Signals(number).name)
