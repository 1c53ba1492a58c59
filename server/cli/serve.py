"""``plexsphere-state serve``: gunicorn with the settings of this shell."""

from __future__ import annotations

import os
import sys

import typer

from server.cli.failures import ExitCode, Failure

EXAMPLE = "PLEXSPHERE_BIND=0.0.0.0:8080 plexsphere-state serve"


def serve() -> None:
    """Serve with gunicorn, from the PLEXSPHERE_* settings of this shell.

    Malformed settings stop the start; the error names all of them. A Postgres or SpiceDB that
    cannot be reached does not stop the start: /readyz names it.
    """
    from server.settings import forget_options_of_gunicorn, read_settings
    from server.start import start_complaints

    complaints = start_complaints()
    if complaints:
        raise Failure("\n".join(complaints), ExitCode.USAGE)
    if not read_settings().provisioned:
        typer.echo("PLEXSPHERE_DSN is not set: every pull will be answered 501.", err=True)
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise Failure(
            "the current folder is gone: change into another one.", ExitCode.USAGE
        ) from error
    open_standard_streams()
    forget_options_of_gunicorn()
    # This process becomes gunicorn, so that a supervisor's signals reach gunicorn.
    os.execv(sys.executable, [sys.executable, "-I", "-m", "server.gunicorn"])


def open_standard_streams() -> None:
    """Let the standard streams that the starter closed lead nowhere: gunicorn needs all three."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
