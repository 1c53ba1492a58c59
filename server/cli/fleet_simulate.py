"""``fleet simulate``: agents that behave as plexd does, and the proof that each got it right."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from server.cli.failures import ExitCode, Failure
from server.cli.fleet_report import check_plot, draw_plot, report
from server.cli.options import AsJson, Dsn, Url, usable_dsn
from server.cli.text import counted

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from server.fleet.agents import Agent
    from server.fleet.enrolment import Enrolment
    from server.fleet.proof import Proof
    from server.fleet.simulation import Simulation

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A slug, of 64 characters at most, without the number of its Domain.
NAME = re.compile(r"(?=.{1,60}\Z)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
REMOVAL = "`plexsphere-state fleet simulate --name {} --nodes 1 --seconds 1 --remove`"
EXAMPLE = (
    "plexsphere-state fleet simulate --nodes 200 --domains 2 --seconds 120 --plot fleet.svg\n\n"
    "plexsphere-state fleet simulate --nodes 500 --seconds 180 --herd --conditional"
)


def simulate(
    nodes: Annotated[int, typer.Option(min=1, max=60_000, help="Agents in all.")] = 64,
    domains: Annotated[int, typer.Option(min=1, max=32, help="Domains they are spread over.")] = 1,
    seconds: Annotated[float, typer.Option(min=1, max=86_400, help="How long they tick.")] = 120,
    jitter: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of its interval that a tick may move by.")
    ] = 0.0,
    conditional: Annotated[
        bool, typer.Option("--conditional", help="Pull with If-None-Match.")
    ] = False,
    herd: Annotated[
        bool,
        typer.Option("--herd", help="All at once, on a connection each, as after an outage."),
    ] = False,
    clients: Annotated[
        int, typer.Option(min=1, max=512, help="Requests at once, at most; not of a herd.")
    ] = 48,
    name: Annotated[
        str, typer.Option(help="Of the fleet; the same name adopts it again.")
    ] = "fleet",
    plot: Annotated[
        Path | None, typer.Option(help="Where the plot goes, .svg or .png.", show_default=False)
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="In the end deregister the fleet, and its Domains.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of when each agent starts.")] = 1,
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Allow a service that is not on this machine.")
    ] = False,
    operator: Annotated[
        str,
        typer.Option(
            "--operator",
            envvar="PLEXSPHERE_OPERATOR_TOKEN",
            help="Token of who may create Domains.",
            show_default=False,
        ),
    ] = "",
    dsn: Dsn = "",
    url: Url = "http://127.0.0.1:8080",
    as_json: AsJson = False,
) -> None:
    """Register or adopt a fleet, let it tick as plexd does, and prove every agent's picture.

    Heartbeats each 30 s, pulls each 60 s, a report each 5 min, tokens renewed in time. Latencies
    count from when a request was due. The proof asks the ledger itself (--dsn), not the service.

    The fleet stays registered, and the same --name adopts it again; with --remove all of that name
    goes in the end, whichever runs registered it, also after Ctrl-C, and so do the Domains --name
    made unless others are in them.

    Who differs there pulls again, three times at most, as others may write meanwhile. Exit code 1
    when a picture is not the ledger's, or an agent got no last answer.
    """
    if NAME.fullmatch(name) is None:
        sentence = (
            "--name is to be of small letters and digits, with single hyphens between them and 60 "
            f"characters at most, and is {name!r}."
        )
        raise Failure(sentence, ExitCode.USAGE)
    if urlsplit(url).hostname not in LOOPBACK and not anywhere:
        sentence = f"{url} is not on this machine: give --anywhere if the load is meant for it."
        raise Failure(sentence, ExitCode.USAGE)
    if not operator:
        sentence = (
            "PLEXSPHERE_OPERATOR_TOKEN is not set: export it (`. .dev/env` beside `make run`)."
        )
        raise Failure(sentence, ExitCode.USAGE)
    if plot is not None:
        check_plot(plot)
    ledger = usable_dsn(dsn)
    from server.fleet.enrolment import Enrolment
    from server.fleet.simulation import Run

    run = Run(seconds=seconds, clients=clients, jitter=jitter, herd=herd, seed=seed)
    _make_room(run.threads(nodes), nodes)
    enrolment = Enrolment(url, operator, name)
    try:
        agents = _enrol(enrolment, nodes, domains, clients, conditional)
        simulation = _tick(agents, run)
        proof = _proof(agents, clients, ledger)
        report(simulation.tally, len(agents), proof, as_json)
        if plot is not None:
            draw_plot(simulation.tally, f"{nodes} agents in {domains} Domains", plot)
    except KeyboardInterrupt as error:
        stopped = "stopped before the proof."
        if not remove:
            stopped += f" What was registered stays; {REMOVAL.format(name)} removes it."
        raise Failure(stopped) from error
    finally:
        if remove:
            _remove(enrolment, clients, ledger)
    if proof.silent or proof.unequal:
        raise typer.Exit(ExitCode.DIFFERENT)


def _progress(*columns: ProgressColumn) -> Progress:
    """On a terminal; elsewhere nothing at all."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _make_room(connections: int, nodes: int) -> None:
    from server.fleet.descriptors import room_for

    room = room_for(connections)
    if room < connections:
        raise Failure(
            f"{nodes} Nodes at once are {connections:,} connections, and this process may have "
            f"{room:,}: raise the limit of open files (`ulimit -n`), or take fewer "
            f"{'Nodes' if connections > nodes else 'clients'}.",
            ExitCode.USAGE,
        )


def _remove(enrolment: Enrolment, clients: int, dsn: str) -> None:
    from server.fleet.removal import members_of, remove

    members = members_of(enrolment, dsn)
    with _progress() as progress:
        task = progress.add_task("removing", total=len(members.nodes))
        left = remove(enrolment, members, min(clients, 8), lambda: progress.advance(task))
    for sentence in left[:20]:
        typer.echo(f"left: {sentence}", err=True)
    if left:
        raise Failure(f"{len(left)} of the fleet's Nodes and Domains could not be removed.")
    nodes, domains = counted(len(members.nodes), "Node"), counted(len(members.domains), "Domain")
    typer.echo(f"removed: {nodes}, {domains}", err=True)


def _enrol(
    enrolment: Enrolment, nodes: int, domains: int, clients: int, conditional: bool
) -> list[Agent]:
    from server.fleet.enrolment import EnrolmentError, enrol

    with _progress() as progress:
        task = progress.add_task("registering", total=nodes)
        try:
            return enrol(
                enrolment,
                nodes,
                domains,
                min(clients, 8),
                conditional,
                lambda: progress.advance(task),
            )
        except EnrolmentError as error:
            raise Failure(str(error)) from error


def _tick(agents: Sequence[Agent], run: Any) -> Simulation:
    """Ctrl-C ends the ticks early; the proof comes all the same."""
    from rich.progress import Progress, TextColumn

    from server.fleet.simulation import Simulation

    simulation, stops = Simulation(agents, run), [0]
    earlier = signal.signal(signal.SIGINT, lambda *_: stops.__setitem__(0, 1))
    words = TextColumn("{task.fields[words]}")
    columns = (*Progress.get_default_columns()[:3], words)
    try:
        with _progress(*columns) as progress:
            task = progress.add_task("ticking", total=run.seconds, words="")

            def look(now: float) -> None:
                done, failed = len(simulation.tally), simulation.tally.failed
                words = f"{done} answers, {failed} not served"
                progress.update(task, completed=now, words=words)

            simulation.run(look, lambda: bool(stops[0]))
    except RuntimeError as error:
        sentence = f"a herd of {len(agents)} Nodes is more threads than this machine lets it have."
        raise Failure(sentence) from error
    finally:
        signal.signal(signal.SIGINT, earlier)
    return simulation


def _proof(agents: Sequence[Agent], clients: int, dsn: str) -> Proof:
    from composer.errors import ComposerError
    from server.fleet.proof import prove, unequal

    try:
        return prove(agents, clients, lambda some: unequal(some, dsn))
    except ComposerError as error:
        raise Failure(f"the ledger could not be read for the proof: {error}.") from error
