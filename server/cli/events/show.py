"""``plexsphere-state events show``: what a Node is sent on its event stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from server.cli.options import AsJson, Node, Token, Url, node_id

EXAMPLE = (
    "plexsphere-state events $PLEXSPHERE_NODE_ID --follow\n\n"
    "plexsphere-state events show $PLEXSPHERE_NODE_ID --after 1796054080832"
)


def show(
    node: Node,
    url: Url = "",
    token: Token = "",
    after: Annotated[
        str, typer.Option(metavar="ID", help="Events after this position.", show_default=False)
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with later events until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hold the event stream of a Node, as its agent does, and print a line for each event.

    Without --follow: what happened after the position, and the position of the stream now. With
    --json: the signed envelopes, exactly as they were sent.
    """
    from server.cli.addresses import service_url
    from server.cli.service import ServiceAccess, frames

    service = ServiceAccess(service_url(url), token)
    for frame in frames(service, node_id(node), after):
        if "data" in frame:
            typer.echo(frame["data"] if as_json else _line(frame))
        elif "retry" in frame and not as_json:
            typer.echo(f"position {frame['id']}", err=True)
        if "retry" in frame and not follow:
            return
    typer.echo("the stream ended; an agent would open it again", err=True)


def _line(frame: Mapping[str, str]) -> str:
    envelope = json.loads(frame["data"])
    payload = json.dumps(envelope["payload"], ensure_ascii=False)
    return f"{frame['id']}  {envelope['issued_at']}  {envelope['type']}  {payload}"
