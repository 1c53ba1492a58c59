"""``plexsphere-state authz verify``: SpiceDB compared with the ledger."""

from __future__ import annotations

import typer

from server.cli.authz import open_comparison, show_difference, to_json
from server.cli.failures import ExitCode
from server.cli.options import AsJson
from server.cli.screen import write_json

EXAMPLE = "plexsphere-state authz verify --json"


def verify(as_json: AsJson = False) -> None:
    """Compare every relationship in SpiceDB with what the ledger implies.

    A missing relationship keeps a subject out, a surplus one lets a subject in. An object with
    rows in the outbox is not compared. Exit code 1 on a difference.
    """
    with open_comparison() as comparison:
        difference = comparison.difference()
    if as_json:
        write_json(to_json(difference))
    else:
        show_difference(difference)
    if difference.all:
        raise typer.Exit(ExitCode.DIFFERENT)
