"""``audit`` and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.groups import Example
from server.cli.options import AsJson, Dsn, domain_id, node_id, usable_dsn


def audit(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    limit: Annotated[int, typer.Option(min=0, max=100_000, help="How many of the newest.")] = 20,
    node: Annotated[str, typer.Option(help="Rows of this Node.", show_default=False)] = "",
    domain: Annotated[
        str, typer.Option(help="Rows of this Domain and its Nodes.", show_default=False)
    ] = "",
    subject: Annotated[
        str, typer.Option(help="Rows of this caller, such as user:ada.", show_default=False)
    ] = "",
    relation: Annotated[
        str, typer.Option(help="node_state.pull, role.grant, ...", show_default=False)
    ] = "",
    outcome: Annotated[
        str, typer.Option(help="granted or insufficient_relation.", show_default=False)
    ] = "",
    dsn: Dsn = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
) -> None:
    """Show the newest audit rows, the newest last."""
    if context.invoked_subcommand is not None:
        return
    from db.audit_reader import AuditFilter
    from server.cli.trail import show

    where = AuditFilter(
        domain_id=domain_id(domain, "--domain") if domain else None,
        object=f"node:{node_id(node, '--node')}" if node else None,
        subject=subject or None,
        relation=relation or None,
        outcome=outcome or None,
    )
    show(usable_dsn(dsn), where, limit, follow, as_json)


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Days or weeks: 30d, 4w.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it; else it is shown.")] = False,
    wait: Annotated[
        float, typer.Option(min=0, max=86_400, help="Seconds to wait for who reads old days.")
    ] = 60.0,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Remove audit rows that are older than AGE, in whole days of UTC.

    Without --yes it says what would go. Neither pulls nor the service's audit rows wait for it:
    where somebody reads old rows it tries again, for --wait seconds in all. Exit code 1 when a day
    was in use for all that time, and is still there.
    """
    from server.cli.pruning import age_of, run

    run(usable_dsn(dsn), age_of(older_than), yes, wait, as_json)


# A subcommand is a line.
WORDS = ""  # those of the command itself
COMMANDS: tuple[Example, ...] = ((prune, "plexsphere-state audit prune --older-than 30d --yes"),)
