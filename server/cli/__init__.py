"""``plexsphere-state``: the service's command line, one function a command."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from server.cli import (
    auditing,
    comparing,
    evaluating,
    fleet,
    inspection,
    keygen,
    outbox,
    relaying,
    roles,
    running,
    snapshots,
)
from server.cli.failures import PlainFailures
from server.cli.groups import Example, add_commands, build_group

_EXIT_CODES = (
    "Exit codes: 0 fine; 1 different, unhealthy or incomplete; 2 wrong usage or settings; "
    "3 refused, unreachable or failed."
)
_EXAMPLES: tuple[Example, ...] = (
    (running.dev, "plexsphere-state dev --port 8080 --nodes 64"),
    (running.serve, "PLEXSPHERE_BIND=0.0.0.0:8080 plexsphere-state serve"),
    (running.migrate, "plexsphere-state migrate --dsn postgresql://plexsphere@db/plexsphere"),
    (
        evaluating.evaluator,
        "plexsphere-state evaluator\n\nplexsphere-state evaluator --once --json",
    ),
    (relaying.relay, "plexsphere-state relay\n\nplexsphere-state relay --once"),
    (
        roles.grant,
        "plexsphere-state grant user:ann manage platform\n\n"
        "plexsphere-state grant user:bob domain-edit domain:$PLEXSPHERE_DOMAIN_ID",
    ),
    (
        roles.revoke,
        "plexsphere-state revoke user:ann manage platform\n\n"
        "plexsphere-state revoke node:$PLEXSPHERE_NODE_ID node-agent node:$PLEXSPHERE_NODE_ID",
    ),
    (running.token, "plexsphere-state token user:ada --ttl 600"),
    (
        keygen.keygen,
        "plexsphere-state keygen signing-key.json\n\n"
        "plexsphere-state keygen signing-key.json --step add",
    ),
    (
        snapshots.snapshot,
        "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --raw > earlier.json\n\n"
        "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --diff earlier.json\n\n"
        "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --explain",
    ),
    (
        snapshots.diff,
        "plexsphere-state diff $A $B --token-b $(plexsphere-state token node:$B)",
    ),
    (inspection.receipt, "plexsphere-state receipt --json"),
    (inspection.doctor, "plexsphere-state doctor"),
    (running.scaffold, "plexsphere-state scaffold GetNodeMetrics"),
)
_AUDIT = (auditing.audit, "plexsphere-state audit --follow --outcome insufficient_relation")


def build_app() -> typer.Typer:
    """Every command, with an example of its own below its help."""
    app = typer.Typer(
        name="plexsphere-state",
        cls=PlainFailures,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_EXIT_CODES,
    )
    app.callback()(_common)
    add_commands(app, _EXAMPLES)
    app.add_typer(build_group(auditing.COMMANDS, "", _AUDIT), name="audit")
    app.add_typer(build_group(comparing.COMMANDS, comparing.WORDS), name="authz")
    app.add_typer(build_group(outbox.COMMANDS, outbox.WORDS), name="outbox")
    app.add_typer(build_group(fleet.COMMANDS, fleet.WORDS), name="fleet")
    return app


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Under an ASCII locale a key in another script is spelled out instead of ending us.
            stream.reconfigure(errors="backslashreplace")
    build_app()(prog_name="plexsphere-state")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"plexsphere-state {version('plexsphere-state')}")
        raise typer.Exit


def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of a failure.")] = False,
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """The reconciliation pull, GET /v1/nodes/{id}/state: run it, look at it, ask it."""
