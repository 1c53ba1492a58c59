"""``plexsphere-state``: the service's command line, one function a command."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer

from server.cli.failures import PlainFailures
from server.cli.groups import Late, Made, late_group, made_command, made_group

_EXIT_CODES = (
    "Exit codes: 0 fine; 1 different, unhealthy or incomplete; 2 wrong usage or settings; "
    "3 refused, unreachable or failed."
)
# A command is its name, which is its function's, and its example.
_EXAMPLES = {
    "dev": "plexsphere-state dev --port 8080 --nodes 64",
    "serve": "PLEXSPHERE_BIND=0.0.0.0:8080 plexsphere-state serve",
    "migrate": "plexsphere-state migrate --dsn postgresql://plexsphere@db/plexsphere",
    "evaluator": "plexsphere-state evaluator\n\nplexsphere-state evaluator --once --json",
    "relay": "plexsphere-state relay\n\nplexsphere-state relay --once",
    "grant": (
        "plexsphere-state grant user:ann manage platform\n\n"
        "plexsphere-state grant user:bob domain-edit domain:$PLEXSPHERE_DOMAIN_ID"
    ),
    "revoke": (
        "plexsphere-state revoke user:ann manage platform\n\n"
        "plexsphere-state revoke node:$PLEXSPHERE_NODE_ID node-agent node:$PLEXSPHERE_NODE_ID"
    ),
    "token": "plexsphere-state token user:ada --ttl 600",
    "keygen": (
        "plexsphere-state keygen signing-key.json\n\n"
        "plexsphere-state keygen signing-key.json --step add"
    ),
    "snapshot": (
        "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --raw > earlier.json\n\n"
        "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --diff earlier.json\n\n"
        "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --explain"
    ),
    "diff": "plexsphere-state diff $A $B --token-b $(plexsphere-state token node:$B)",
    "receipt": "plexsphere-state receipt --json",
    "doctor": "plexsphere-state doctor",
    "settings": "plexsphere-state settings",
}
_AUDIT = "plexsphere-state audit --follow --outcome insufficient_relation"
# Their subcommands and words are in their modules.
_GROUPS = ("audit", "authz", "outbox", "fleet")


def build_app() -> typer.Typer:
    """Every command, with an example of its own below its help."""
    app = typer.Typer(
        name="plexsphere-state",
        cls=late_group(PlainFailures, Late([*_EXAMPLES, *_GROUPS], _made)),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_EXIT_CODES,
    )
    app.callback()(_common)
    return app


def _made(name: str) -> Made:
    module = _module(name)
    if name not in _GROUPS:
        return made_command(getattr(module, name), _EXAMPLES[name])
    own = (module.audit, _AUDIT) if name == "audit" else None
    return made_group(module.COMMANDS, module.WORDS, own)


def _module(name: str) -> Any:
    """Imports no other."""
    match name:
        case "dev" | "serve" | "migrate" | "token":
            from server.cli import running as found
        case "evaluator":
            from server.cli import evaluating as found
        case "relay":
            from server.cli import relaying as found
        case "grant" | "revoke":
            from server.cli import roles as found
        case "keygen":
            from server.cli import keygen as found
        case "snapshot" | "diff":
            from server.cli import snapshots as found
        case "receipt" | "doctor":
            from server.cli import inspection as found
        case "settings":
            from server.cli import settings as found
        case "audit":
            from server.cli import auditing as found
        case "authz":
            from server.cli import comparing as found
        case "outbox":
            from server.cli import outbox as found
        case "fleet":
            from server.cli import fleet as found
        case _:
            raise KeyError(name)
    return found


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
