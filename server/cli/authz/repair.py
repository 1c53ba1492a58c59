"""``plexsphere-state authz repair``: SpiceDB brought in line with the ledger."""

from __future__ import annotations

import typer

from server.cli.authz import open_comparison, show_difference, to_json
from server.cli.failures import ExitCode
from server.cli.formats import counted
from server.cli.operators import operator
from server.cli.options import AsJson
from server.cli.screen import Screen, plain, write_json

EXAMPLE = "plexsphere-state authz repair"


def repair(as_json: AsJson = False) -> None:
    """Bring SpiceDB in line with the ledger: add missing relationships, delete surplus ones.

    Each object is compared again before it is changed, so that later changes stay; the audit has
    a row for each repair. Definitions that are not in our schema stay. Rows of the outbox that
    SpiceDB refused are closed where nothing differs any more. Exit code 1 when a difference is
    left.
    """
    with open_comparison() as comparison:
        found = comparison.difference()
        comparison.repair(found, operator())
        left = comparison.difference() if found.all else found
        closed = comparison.close_parked(left)
    if as_json:
        write_json({"found": to_json(found), "left": to_json(left), "parked_closed": closed})
    else:
        show_difference(found)
        screen = Screen()
        if found.all:
            repaired = counted(len(set(found.all) - set(left.all)), "relationship")
            screen.print(plain(f"repaired: {repaired}; left: {len(left.all):,}", "bold"))
        if closed:
            screen.print(plain(f"closed: {counted(closed, 'parked row')} of the outbox"))
    if left.all:
        raise typer.Exit(ExitCode.DIFFERENT)
