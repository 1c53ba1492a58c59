"""``plexsphere-state receipt``: the wiring of the service, as a start would make it."""

from __future__ import annotations

import typer

from server.cli.failures import ExitCode
from server.cli.options import AsJson
from server.cli.screen import write_json

EXAMPLE = "plexsphere-state receipt --json"


def receipt(as_json: AsJson = False) -> None:
    """Print the wiring receipt: the adapter behind each port, and the operations that are live.

    Wires the service as a start does, from the settings of this shell. It sends nothing to
    Postgres or SpiceDB. Exit code 1 when the pull is not live.
    """
    from server.settings import read_settings
    from server.wiring import wire

    service = wire(read_settings())
    found = service.receipt
    service.close()
    if as_json:
        fields: dict[str, object] = {
            "complete": found.complete,
            "missing": list(found.missing),
            "ports": dict(found.ports),
            "operations": dict(found.operations),
        }
        if found.test_clock:
            fields["test_clock"] = found.test_clock
        write_json(fields)
    else:
        typer.echo("\n".join(found.lines()))
    if not found.complete:
        raise typer.Exit(ExitCode.DIFFERENT)
