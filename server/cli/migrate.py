"""``plexsphere-state migrate``: the ledger's schema, at the version of this release."""

from __future__ import annotations

import typer

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode, Failure
from server.cli.options import Dsn

EXAMPLE = "plexsphere-state migrate --dsn postgresql://plexsphere@localhost/plexsphere"


def migrate(dsn: Dsn = "") -> None:
    """Bring the ledger's schema up to this release; harmless to repeat.

    Several may run at the same time: the first migrates, the others wait for it.
    """
    from db.migrate import MigrationRefused, expected_version
    from db.migrate import migrate as apply

    try:
        applied = apply(answering_dsn(dsn))
    except MigrationRefused as refused:
        raise Failure(f"nothing was changed: {refused}.", ExitCode.DIFFERENT) from refused
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo(f"nothing to do: the ledger is at version {expected_version()}")
