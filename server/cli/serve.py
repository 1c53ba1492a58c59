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
    from server.settings import read_settings
    from server.start import start_complaints

    complaints = start_complaints()
    if complaints:
        raise Failure("\n".join(complaints), ExitCode.USAGE)
    if not read_settings().provisioned:
        typer.echo("PLEXSPHERE_DSN is not set: every pull will be answered 501.", err=True)
    gunicorn = ["-m", "gunicorn", "-c", "python:server.gunicorn.conf", "wsgi:application"]
    # This process becomes gunicorn, so that a supervisor's signals reach gunicorn.
    os.execv(sys.executable, [sys.executable, *gunicorn])
