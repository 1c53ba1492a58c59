"""``plexsphere-state fleet status``: a Domain's Nodes, the worst first."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode, Failure
from server.cli.fleet.streams import stream_cells, stream_lines
from server.cli.formats import counted, duration, utc
from server.cli.options import AsJson, Dsn, domain_id, seconds
from server.cli.screen import Screen, line, narrowed, plain, write_json

if TYPE_CHECKING:
    from composer.deadline import Deadline
    from db.connections import ReadSession, Sessions
    from server.cli.fleet.node_states import FleetStatus, NodeStatus

EXAMPLE = "plexsphere-state fleet status --max-age 10m"
READ_SECONDS = 30.0
BAR = 60  # characters
LISTED = 20  # Domains
# By state: the character of the bar, and the colour.
_MARKS = {
    "current": ("█", "green"),
    "behind": ("▒", "yellow"),
    "never": ("░", "blue"),
    "corrupt": ("×", "red"),
}
# In order. A terminal shows those that fit, and two at least; five fit into 80 characters.
_COLUMNS = (
    *("node", "state", "without", "granted", "heartbeat"),
    *("stream", "name", "runs", "current", "since"),
)
_ALWAYS = 2


def status(
    domain: Annotated[
        str,
        typer.Option(
            "--domain",
            envvar="PLEXSPHERE_DOMAIN_ID",
            help="The Domain's id.",
            show_default="the only one",
        ),
    ] = "",
    max_age: Annotated[
        str,
        typer.Option("--max-age", help="Longest time without the desired state: 300s, 5m, 2h, 1d."),
    ] = "5m",
    limit: Annotated[
        int, typer.Option(min=0, help="Number of Nodes, the worst first; 0 shows all.")
    ] = 100,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Show which Nodes run the desired state, by what each was last granted.

    A Node is current when a pull would now give it the same, apart from its own reachability; else
    it is behind. "never" is a Node that was granted nothing yet, "corrupt" one whose rows make no
    snapshot.

    "without" is the longest time that the Node can have been without the desired state: since its
    last grant, or its registration. An agent that pulls every 60 s is behind for a minute at most.
    "granted" and "heartbeat" are the ages of the last grant and the last heartbeat. Corrupt Nodes
    come first, then the Nodes that are without the desired state for the longest time.

    --max-age limits the time without the desired state, not the silence of a Node: a current Node
    is never too late, however long ago its last grant was. The exit code is 1 when a Node exceeds
    it. With less than the interval of the pulls (60 s) healthy Nodes exceed it too.

    A grant is a pull by the Node's own agent. A pull by another caller, or a HEAD, does not show
    what the Node runs.

    Grants come from the audit: with PLEXSPHERE_AUDIT=0 the service records none.

    Where PLEXSPHERE_NATS_URL is set, "stream" is the age of the Node's event stream, with the bytes
    that its agent has not taken yet. The processes of the service are asked, not the ledger.
    """
    from composer.deadline import Deadline
    from composer.errors import DomainNotFound
    from db.fleet import PostgresFleet, fleet_connection, ipv6_nodes
    from server.cli.fleet.node_states import fleet_status
    from server.cli.fleet.streams import streams_of
    from server.settings import read_settings

    longest = seconds(max_age, "--max-age")
    given = UUID(domain_id(domain, "--domain")) if domain else None
    connection = fleet_connection(answering_dsn(dsn))
    deadline = Deadline.after(READ_SECONDS, time.monotonic)
    addressed = given or _only_domain(connection, deadline)
    # A Domain is a hundred thousand small values without a reference cycle: collecting garbage
    # would cost time and free nothing.
    gc.disable()
    try:
        moment = PostgresFleet(connection).of_domain(addressed, deadline)
        streams, no_streams = streams_of(read_settings(ledger_only=True), addressed)
        fleet = fleet_status(moment, longest, streams)
        hint = ipv6_nodes(connection, addressed, deadline).hint
    except DomainNotFound as error:
        raise Failure(f"the ledger has no Domain {addressed}.") from error
    finally:
        gc.freeze()
        gc.enable()
    if as_json:
        write_json({**fleet.to_json(), "hint": hint})
    else:
        screen = Screen()
        screen.print_all(render(fleet, limit, screen.width))
        for sentence in (no_streams, hint and f"{hint}."):
            if sentence:
                screen.print(plain(sentence, "yellow"))
    if fleet.late:
        raise typer.Exit(ExitCode.DIFFERENT)


def _only_domain(connection: Sessions[ReadSession], deadline: Deadline) -> UUID:
    from composer.registry import VisibleDomains
    from db.domains import PostgresDomainReader

    reader = PostgresDomainReader(connection)
    found = reader.page(VisibleDomains(None), None, LISTED + 1, deadline)
    if len(found) == 1:
        return found[0].id
    if not found:
        raise Failure("the ledger has no Domain yet.")
    listed = [f"  {domain.id}  {domain.slug}" for domain in found[:LISTED]]
    more = ["  and more"] if len(found) > LISTED else []
    sentence = "the ledger has several Domains, and --domain must name one of them:"
    raise Failure("\n".join([sentence, *listed, *more]), ExitCode.USAGE)


def render(fleet: FleetStatus, limit: int, width: int) -> Iterator[Text | Table]:
    """A bar, a sentence, and a table of the ``limit`` worst Nodes, or of all where it is 0.

    ``width`` of the screen in characters.
    """
    yield line("Domain", f"{fleet.domain_id}  {counted(len(fleet.nodes), 'Node')}")
    if not fleet.nodes:
        return
    yield _bar(fleet)
    yield _counts(fleet)
    if fleet.streams is not None:
        yield from stream_lines(fleet.streams, len(fleet.nodes))
    if fleet.gap:
        yield plain(f"{fleet.gap} See PLEXSPHERE_AUDIT of the service.", "yellow")
    nodes = fleet.nodes[:limit] if limit else fleet.nodes
    cells = stream_cells(fleet.streams)
    rows = [_row(node, fleet.max_age, cells.get(node.node_id, "-")) for node in nodes]
    yield from narrowed(title="", columns=_COLUMNS, rows=rows, width=width, at_least=_ALWAYS)
    if len(nodes) < len(fleet.nodes):
        rest = counted(len(fleet.nodes) - len(nodes), "Node")
        yield plain(f"and {rest} more: --limit 0 shows all.", "dim")


def _bar(fleet: FleetStatus) -> Text:
    """Every state that has a Node gets a character: 1 of 10,000 Nodes must be visible."""
    counts = {state: number for state, number in fleet.counts().items() if number}
    widths = {state: max(1, number * BAR // len(fleet.nodes)) for state, number in counts.items()}
    widest = max(widths, key=lambda state: widths[state])
    widths[widest] += BAR - sum(widths.values())
    marks = [(_MARKS[state], width) for state, width in widths.items()]
    return Text("").join(Text(mark * width, style=colour) for (mark, colour), width in marks)


def _counts(fleet: FleetStatus) -> Text:
    parts = [
        Text(f"{number:,} {state}", style=_MARKS[state][1])
        for state, number in fleet.counts().items()
    ]
    late = f"{fleet.late:,} for longer than {duration(fleet.max_age)}"
    return Text("  ").join((*parts, Text(late, style="bold red" if fleet.late else "dim")))


def _row(node: NodeStatus, max_age: float, stream: str) -> tuple[object, ...]:
    style = "bold red" if node.is_late(max_age) else _MARKS[node.state][1]
    return (
        node.node_id,
        plain(node.state, style),
        "-" if node.behind_seconds is None else f"≤ {duration(node.behind_seconds)}",
        _age(node.silent_seconds),
        _age(node.heartbeat_seconds),
        stream,
        node.name,
        _digest(node.digest),
        _digest(node.current_digest),
        "never" if node.since is None else utc(node.since),
    )


def _age(seconds: int | None) -> str:
    return "never" if seconds is None else duration(seconds)


def _digest(digest: str | None) -> str:
    """Twelve digits are enough to tell the digests of a fleet apart."""
    return "-" if digest is None else digest[:12]
