"""``plexsphere-state diff``: the desired states of two Nodes, compared."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.differences import TWO_NODES, differences, write_difference
from server.cli.options import AsJson, Token, Url, node_id
from server.cli.screen import Screen, line

EXAMPLE = "plexsphere-state diff $A $B --token-b $(plexsphere-state token node:$B)"


def diff(
    node_a: Annotated[str, typer.Argument(metavar="NODE_A", help="The id of a Node.")],
    node_b: Annotated[str, typer.Argument(metavar="NODE_B", help="The id of another Node.")],
    url: Url = "",
    token: Token = "",
    token_b: Annotated[
        str,
        typer.Option(
            envvar="PLEXSPHERE_TOKEN_B",
            help="Token for NODE_B, where the first token may not pull it.",
            show_default=False,
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show how the desired states of two Nodes differ.

    Each Node is a peer of the other; that does not count as a difference. Exit code 1 when they
    differ, 0 when they are the same.
    """
    from server.cli.addresses import service_url
    from server.cli.service import ServiceAccess, pull

    url = service_url(url)
    a, b = node_id(node_a, "NODE_A"), node_id(node_b, "NODE_B")
    snapshot_a = pull(ServiceAccess(url, token), a).snapshot
    snapshot_b = pull(ServiceAccess(url, token_b or token), b).snapshot
    found = differences(snapshot_a, snapshot_b, ignored_peers=(a, b))
    if not as_json:
        screen = Screen()
        screen.print(line("A", a))
        screen.print(line("B", b))
    write_difference(found, TWO_NODES, as_json)
