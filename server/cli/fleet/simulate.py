"""``plexsphere-state fleet simulate``: agents that behave as plexd does, and a proof of each."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from server.cli.addresses import service_url
from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode, Failure
from server.cli.formats import counted
from server.cli.options import AsJson, Dsn, Url
from server.cli.screen import Screen, plain, table

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from server.fleet.agents import Agent
    from server.fleet.enrolment import FleetEnrolment
    from server.fleet.proof import Proof
    from server.fleet.simulation import Run, Simulation
    from server.fleet.tally import Tally

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A slug without the number of its Domain; a whole slug has 64 characters at most.
NAME = re.compile(r"(?=.{1,60}\Z)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
REMOVAL = "`plexsphere-state fleet simulate --name {} --nodes 1 --seconds 1 --remove`"
LISTED = 20  # Nodes in a list; --json has all
EXAMPLE = (
    "plexsphere-state fleet simulate --nodes 200 --domains 2 --seconds 120 --plot fleet.svg\n\n"
    "plexsphere-state fleet simulate --nodes 500 --seconds 180 --herd --conditional"
)
_LATENCIES = (
    'From the time a request was due to the last byte of its answer. At most "begun late by" of '
    "it is the simulator's own: the longest time between due and begun."
)


def simulate(
    nodes: Annotated[int, typer.Option(min=1, max=60_000, help="Number of agents.")] = 64,
    domains: Annotated[
        int, typer.Option(min=1, max=32, help="Number of Domains for the agents.")
    ] = 1,
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="Duration of the simulation.")
    ] = 120,
    jitter: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of an interval by which a tick may move.")
    ] = 0.0,
    conditional: Annotated[
        bool, typer.Option("--conditional", help="Pull with If-None-Match.")
    ] = False,
    jwt: Annotated[
        bool, typer.Option("--jwt", help="The operator registers the Nodes; agents present tokens.")
    ] = False,
    herd: Annotated[
        bool,
        typer.Option("--herd", help="All begin at once, each on a connection, as after an outage."),
    ] = False,
    events: Annotated[
        bool,
        typer.Option("--events", help="Agents hold their event streams, a thread for each."),
    ] = False,
    clients: Annotated[
        int, typer.Option(min=1, max=512, help="Most requests at once; without effect on a herd.")
    ] = 48,
    name: Annotated[
        str, typer.Option(help="Name of the fleet; the same name uses the same Nodes again.")
    ] = "fleet",
    plot: Annotated[
        Path | None, typer.Option(help="File for a plot, .svg or .png.", show_default=False)
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Deregister the fleet and its Domains at the end.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the agents' first ticks.")] = 1,
    anywhere: Annotated[
        bool, typer.Option("--anywhere", help="Allow a service on another machine.")
    ] = False,
    operator: Annotated[
        str,
        typer.Option(
            "--operator",
            envvar="PLEXSPHERE_OPERATOR_TOKEN",
            help="Token of a caller that may create Domains.",
            show_default=False,
        ),
    ] = "",
    dsn: Dsn = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Enrol a fleet, run its agents as plexd does, and prove that every agent is right.

    Each agent enrols with a bootstrap token of its own and presents its node secret key.

    Heartbeats every 30 s, pulls every 60 s, a report every 5 min, tokens renewed in time. Latencies
    count from the time a request was due. The proof compares what each agent has with the ledger
    itself (--dsn), not with the service.

    With --events each agent also holds its event stream, opens it again as plexd does, and pulls at
    each connect and each event. "event" then counts from the moment in the envelope.

    The fleet stays registered, and the same --name uses it again. With --remove all Nodes of that
    name are deregistered at the end, whichever run registered them, also after Ctrl-C, and so are
    the Domains that --name made, unless other Nodes are in them.

    An agent that differs pulls again, three times at most, because others may write meanwhile. Exit
    code 1 when an agent differs from the ledger, or got no last answer.
    """
    if NAME.fullmatch(name) is None:
        sentence = (
            "--name must be small letters and digits, with single hyphens between them and 60 "
            f"characters at most, and is {name!r}."
        )
        raise Failure(sentence, ExitCode.USAGE)
    url = service_url(url)
    if urlsplit(url).hostname not in LOOPBACK and not anywhere:
        sentence = f"{url} is not on this machine: give --anywhere if the load is meant for it."
        raise Failure(sentence, ExitCode.USAGE)
    if not operator:
        sentence = (
            "PLEXSPHERE_OPERATOR_TOKEN is not set: export it (`. .dev/env` beside `make run`; or "
            "`plexsphere-state token user:ann`, with the service's own key)."
        )
        raise Failure(sentence, ExitCode.USAGE)
    if plot is not None:
        check_plot(plot)
    ledger = answering_dsn(dsn)
    from server.fleet.enrolment import FleetEnrolment
    from server.fleet.simulation import Run

    run = Run(seconds=seconds, clients=clients, jitter=jitter, herd=herd, seed=seed, events=events)
    _allow_connections(run.threads(nodes) + nodes * events, nodes)
    enrolment = FleetEnrolment(url=url, operator=operator, dsn=ledger, name=name, jwt=jwt)
    try:
        agents = _enrol(
            enrolment=enrolment,
            nodes=nodes,
            domains=domains,
            clients=clients,
            conditional=conditional,
        )
        simulation = _simulate(agents, run)
        proof = _prove(agents, clients, ledger)
        report(tally=simulation.tally, agents=len(agents), proof=proof, as_json=as_json)
        if plot is not None:
            _draw(simulation.tally, f"{nodes} agents in {domains} Domains", plot)
    except KeyboardInterrupt as error:
        stopped = "stopped before the proof."
        if not remove:
            stopped += f" What was registered stays; {REMOVAL.format(name)} removes it."
        raise Failure(stopped) from error
    finally:
        if remove:
            _remove(enrolment, clients)
    if proof.silent or proof.unequal:
        raise typer.Exit(ExitCode.DIFFERENT)


def _progress(*columns: ProgressColumn) -> Progress:
    """Progress on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _allow_connections(connections: int, nodes: int) -> None:
    from server.fleet.simulation import raise_descriptor_limit

    allowed = raise_descriptor_limit(connections)
    if allowed < connections:
        raise Failure(
            f"{nodes} Nodes at once are {connections:,} connections, and this process may have "
            f"{allowed:,}: raise the limit of open files (`ulimit -n`), or take fewer "
            f"{'Nodes' if connections > nodes else 'clients'}.",
            ExitCode.USAGE,
        )


def _enrol(
    enrolment: FleetEnrolment, nodes: int, domains: int, clients: int, conditional: bool
) -> list[Agent]:
    from composer.errors import ComposerError
    from server.cli.service import without_credentials
    from server.fleet.enrolment import EnrolmentError, enrol

    with _progress() as progress:
        task = progress.add_task("registering", total=nodes)
        try:
            return enrol(
                enrolment=enrolment,
                nodes=nodes,
                domains=domains,
                clients=min(clients, 8),
                conditional=conditional,
                progress=lambda: progress.advance(task),
            )
        except EnrolmentError as error:
            raise Failure(f"{without_credentials(enrolment.url)}: {error}") from error
        except ComposerError as error:
            raise Failure(f"the ledger could not be read or written: {error}.") from error


def _simulate(agents: Sequence[Agent], run: Run) -> Simulation:
    """Ctrl-C ends the simulation early; the proof still follows."""
    from threading import Event

    from rich.progress import Progress, TextColumn

    from server.fleet.simulation import Simulation

    simulation, stopped = Simulation(agents, run), Event()
    earlier = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    columns = (*Progress.get_default_columns()[:3], TextColumn("{task.fields[counts]}"))
    try:
        with _progress(*columns) as progress:
            task = progress.add_task("simulating", total=run.seconds, counts="")

            def show(passed: float) -> None:
                tally = simulation.tally
                counts = f"{len(tally)} answers, {tally.failed} not served"
                progress.update(task, completed=passed, counts=counts)

            simulation.run(show, stopped.is_set)
    except RuntimeError as error:
        sentence = f"a herd of {len(agents)} Nodes needs more threads than this machine allows."
        raise Failure(sentence) from error
    finally:
        signal.signal(signal.SIGINT, earlier)
    return simulation


def _prove(agents: Sequence[Agent], clients: int, dsn: str) -> Proof:
    from composer.errors import ComposerError
    from server.fleet.proof import prove, unequal

    try:
        return prove(agents, clients, lambda some: unequal(some, dsn))
    except ComposerError as error:
        raise Failure(f"the ledger could not be read for the proof: {error}.") from error


def _remove(enrolment: FleetEnrolment, clients: int) -> None:
    from server.fleet.enrolment import members_of, remove

    members = members_of(enrolment)
    with _progress() as progress:
        task = progress.add_task("removing", total=len(members.nodes))
        left = remove(enrolment, members, min(clients, 8), lambda: progress.advance(task))
    for sentence in left[:LISTED]:
        typer.echo(f"left: {sentence}", err=True)
    if left:
        raise Failure(f"{len(left)} of the fleet's Nodes and Domains could not be removed.")
    nodes, domains = counted(len(members.nodes), "Node"), counted(len(members.domains), "Domain")
    typer.echo(f"removed: {nodes}, {domains}", err=True)


def report(tally: Tally, agents: int, proof: Proof, as_json: bool) -> None:
    """The latencies and the proof, on stdout."""
    from server.fleet.tally import QUANTILES
    from server.fleet.wire import status_name

    kinds = tally.kinds()
    if as_json:
        by_kind = {
            kind.name: {
                "answers": kind.count,
                "statuses": {status_name(k): v for k, v in sorted(kind.statuses.items())},
                "seconds": dict(zip(map(str, QUANTILES), kind.latencies, strict=True)),
                "latest_start": kind.latest_start,
            }
            for kind in kinds
        }
        unproven = {"silent": dict(proof.silent), "unequal": dict(proof.unequal)}
        typer.echo(json.dumps({"agents": agents, **unproven, "kinds": by_kind}))
        return
    columns = ("", "answers", "p50", "p90", "p99", "p99.9", "max", "begun late by", "by status")
    rows = []
    for kind in kinds:
        times = map(latency, (*kind.latencies, kind.latest_start))
        statuses = [f"{status_name(k)}: {v:,}" for k, v in sorted(kind.statuses.items())]
        rows.append((kind.name, f"{kind.count:,}", *times, ", ".join(statuses)))
    screen = Screen()
    if rows:
        screen.print(table("", columns, rows))
        screen.print(plain(_LATENCIES, "dim"))
    _list(proof.unequal)
    equal = agents - len(proof.silent) - len(proof.unequal)
    typer.echo(f"{equal:,} of {counted(agents, 'agent')} equal the ledger.")
    if proof.silent:
        silent = counted(len(proof.silent), "agent")
        typer.echo(f"{silent} got no last answer, and nothing is proven of them:")
        _list(proof.silent)


def _draw(tally: Tally, title: str, file: Path) -> None:
    from server.fleet.plot import draw

    if not len(tally):
        typer.echo("no plot: the run was over before the first request", err=True)
        return
    draw(tally, title, file)
    typer.echo(f"plot: {file}", err=True)


def _list(reasons: Mapping[str, str]) -> None:
    for node_id, reason in list(reasons.items())[:LISTED]:
        typer.echo(f"  {node_id}: {reason}")
    if len(reasons) > LISTED:
        typer.echo(f"  and {len(reasons) - LISTED:,} more: --json has all.")


def latency(seconds: float) -> str:
    """``7.4 ms``, ``740 ms``, ``7.4 s``."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1000 * seconds:.{1 if seconds < 0.1 else 0}f} ms"


def check_plot(file: Path) -> None:
    """Refuse a bad ``--plot`` before the simulation: the plot is drawn at its end."""
    if file.suffix not in (".svg", ".png"):
        raise Failure(f"--plot {file} must end in .svg or .png.", ExitCode.USAGE)
    if not file.parent.is_dir():
        raise Failure(f"--plot {file}: there is no folder {file.parent}.", ExitCode.USAGE)
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise Failure(f"--plot {file} cannot be written.", ExitCode.USAGE)
    if find_spec("vl_convert") is None:
        sentence = (
            "--plot needs a library: `pip install 'plexsphere-state[plot]'` installs it, and "
            "`make lint` in a clone."
        )
        raise Failure(sentence, ExitCode.USAGE)
