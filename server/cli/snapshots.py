"""The commands that show what a Node should be: ``snapshot`` and ``diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from composer.errors import NodeNotFound
from server.cli import blocks, difference_tables, explanations
from server.cli.bodies import read_earlier
from server.cli.difference_tables import OVER_TIME, TWO_NODES, Wording
from server.cli.differences import Difference, differences
from server.cli.failures import ExitCode, Failure
from server.cli.options import DEFAULT_URL, AsJson, Dsn, Token, Url, node_id, usable_dsn
from server.cli.screens import Screen, line, plain, write_bytes, write_json
from server.cli.text import utc_now

# Not at run time: it brings requests, which no other command needs.
if TYPE_CHECKING:
    from server.cli.pulling import Pulled

Node = Annotated[
    str,
    typer.Argument(
        metavar="NODE", envvar="PLEXSPHERE_NODE_ID", help="The Node's id.", show_default=False
    ),
]


def snapshot(
    node: Node,
    url: Url = DEFAULT_URL,
    token: Token = "",
    raw: Annotated[bool, typer.Option("--raw", help="Exactly the bytes of the body.")] = False,
    as_json: AsJson = False,
    diff: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Compare with an earlier body; - is stdin.", show_default=False
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Read the ledger: why it is what it is.")
    ] = False,
    dsn: Dsn = "",
) -> None:
    """Pull a Node's desired state: one table a block.

    With --diff: exit code 1 when it differs from FILE, 0 when it is the same. The timestamps of
    reachability move with every heartbeat and do not count.

    With --explain nothing is pulled: for every Node of the Domain it says why it is a peer or not,
    and for every block which rows of the ledger it came from.
    """
    from server.cli.pulling import Service, pull

    addressed = node_id(node)
    if (raw, diff is not None, explain).count(True) > 1 or (raw and as_json):
        raise Failure("choose one of --raw, --json, --diff and --explain.", ExitCode.USAGE)
    if explain:
        _explain(usable_dsn(dsn), addressed, as_json)
        return
    earlier = None if diff is None else read_earlier(diff)
    pulled = pull(Service(url, token), addressed)
    if earlier is not None:
        _show_difference(differences(earlier, pulled.snapshot), OVER_TIME, as_json)
    elif raw:
        write_bytes(pulled.body)
    elif as_json:
        write_json(pulled.snapshot)
    else:
        _show(pulled, addressed)


def diff(
    node_a: Annotated[str, typer.Argument(metavar="NODE_A", help="The id of one Node.")],
    node_b: Annotated[str, typer.Argument(metavar="NODE_B", help="The id of another Node.")],
    url: Url = DEFAULT_URL,
    token: Token = "",
    token_b: Annotated[
        str,
        typer.Option(
            envvar="PLEXSPHERE_TOKEN_B",
            help="For NODE_B, where one token may not pull both.",
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show how the desired states of two Nodes differ.

    That each is a peer of the other is as it should be, and no difference. Exit code 1 when they
    differ, 0 when they are the same.
    """
    from server.cli.pulling import Service, pull

    a, b = node_id(node_a, "NODE_A"), node_id(node_b, "NODE_B")
    of_a = pull(Service(url, token), a)
    of_b = pull(Service(url, token_b or token), b)
    found = differences(of_a.snapshot, of_b.snapshot, apart_from=(a, b))
    if not as_json:
        out = Screen()
        out.print(line("A", a))
        out.print(line("B", b))
    _show_difference(found, TWO_NODES, as_json)


def _show(pulled: Pulled, addressed: str) -> None:
    out = Screen()
    out.print(line("Node", addressed))
    took = f"{len(pulled.body):,} bytes in {pulled.seconds * 1000:.0f} ms"
    out.print(plain(f"{took}, correlation_id {pulled.correlation_id}, ETag {pulled.etag}", "dim"))
    out.print_all(blocks.render(pulled.snapshot, out.width, utc_now()))


def _show_difference(found: Difference, wording: Wording, as_json: bool) -> None:
    if as_json:
        write_json(found.to_json())
    else:
        Screen().print_all(difference_tables.render(found, wording))
    if not found.same:
        raise typer.Exit(ExitCode.DIFFERENT)


def _explain(dsn: str, addressed: str, as_json: bool) -> None:
    from db.explain import explain

    try:
        found = explain(dsn, UUID(addressed))
    except NodeNotFound as error:
        raise Failure(
            f"the ledger has no Node {addressed}: whoever may pull it is answered 404.",
            ExitCode.DIFFERENT,
        ) from error
    if as_json:
        write_json(explanations.to_json(found))
        return
    out = Screen()
    out.print(line("Node", f"{found.node.id} {found.node.name}"))
    out.print_all(explanations.render(found))
