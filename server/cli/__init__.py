"""``plexsphere-state``: the service's command line. A command is the module of its name."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import sys
from typing import Annotated

import typer

from server.cli.commands import LazyCommands, group_class
from server.cli.failures import ExitCode, PlainFailures

# What a write to the output raises.
OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF)
COMMANDS = (
    "dev",
    "init",
    "serve",
    "migrate",
    "evaluator",
    "relay",
    "grant",
    "revoke",
    "credentials",
    "enrol",
    "token",
    "keygen",
    "snapshot",
    "diff",
    "accept-ledger",
    "receipt",
    "doctor",
    "top",
    "settings",
    "audit",
    "authz",
    "outbox",
    "backup",
    "restore",
    "events",
    "fleet",
)
_EXIT_CODES = (
    "Exit codes: 0 success; 1 different, unhealthy or incomplete; 2 wrong usage or settings; "
    "3 refused, unreachable or failed."
)


def build_app() -> typer.Typer:
    """Every command by name; the module of a command is imported when the command is used."""
    app = typer.Typer(
        name="plexsphere-state",
        cls=group_class(PlainFailures, LazyCommands(__name__, COMMANDS)),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_EXIT_CODES,
    )
    app.callback()(_options)
    return app


def main() -> None:
    """The console script."""
    # The collections at the end of the process would pass over every module, to free nothing.
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # An ASCII locale cannot encode some keys: they are escaped, and the command goes on.
            stream.reconfigure(errors="backslashreplace")
    code: str | int | None = None
    try:
        build_app()(prog_name="plexsphere-state")
    except SystemExit as end:
        code = end.code
    except OSError as error:  # of --help and --version, which no command prints
        if error.errno not in OUTPUT_ERRORS:
            raise  # an error of a command, with --debug
        code = _not_written(error)
    try:
        if sys.stdout:  # none where it was closed before the start
            sys.stdout.flush()
    except OSError as error:
        code = _not_written(error)
    sys.exit(code)


def _not_written(error: OSError) -> int:
    """Say why the output is incomplete, and keep the end of the process from trying again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno != errno.EPIPE:
        print(f"error: the output cannot be written: {error.strerror}.", file=sys.stderr)
    return ExitCode.REFUSED


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"plexsphere-state {version('plexsphere-state')}")
        raise typer.Exit


def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of a failure.")] = False,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """The reconciliation pull, GET /v1/nodes/{id}/state: run the service and examine it."""
