"""How a simulation ends: its table, its proof and its plot."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from server.cli.failures import ExitCode, Failure
from server.cli.screens import Screen, plain, table
from server.cli.text import counted

if TYPE_CHECKING:
    from server.fleet.proof import Proof
    from server.fleet.tally import Tally

LISTED = 20
_LATENCIES = (
    "From when each was due to its last byte. How much of it was the simulator's own is at most "
    '"begun late by", the longest time between due and begun.'
)


def report(tally: Tally, agents: int, proof: Proof, as_json: bool) -> None:
    """On stdout."""
    from server.fleet.tally import QUANTILES
    from server.fleet.wire import status_name

    lines = tally.lines()
    if as_json:
        kinds = {
            line.kind: {
                "answers": line.count,
                "statuses": {status_name(k): v for k, v in sorted(line.statuses.items())},
                "seconds": dict(zip(map(str, QUANTILES), line.latencies, strict=True)),
                "latest_start": line.latest_start,
            }
            for line in lines
        }
        unproven = {"silent": dict(proof.silent), "unequal": dict(proof.unequal)}
        typer.echo(json.dumps({"agents": agents, **unproven, "kinds": kinds}))
        return
    names = ("", "answers", "p50", "p90", "p99", "p99.9", "max", "begun late by", "by status")
    rows = [
        (line.kind, f"{line.count:,}", *map(lasted, (*line.latencies, line.latest_start)), statuses)
        for line in lines
        for statuses in [
            ", ".join(f"{status_name(k)}: {v:,}" for k, v in sorted(line.statuses.items()))
        ]
    ]
    screen = Screen()
    screen.print(table("", names, rows))
    screen.print(plain(_LATENCIES, "dim"))
    _list(proof.unequal)
    equal = agents - len(proof.silent) - len(proof.unequal)
    typer.echo(f"{equal:,} of {counted(agents, 'picture')} equal the ledger.")
    if proof.silent:
        silent = counted(len(proof.silent), "agent")
        typer.echo(f"{silent} got no last answer, and of those nothing is proven:")
        _list(proof.silent)


def _list(reasons: Mapping[str, str]) -> None:
    for node_id, reason in list(reasons.items())[:LISTED]:
        typer.echo(f"  {node_id}: {reason}")
    if len(reasons) > LISTED:
        typer.echo(f"  and {len(reasons) - LISTED:,} more: --json has all.")


def lasted(seconds: float) -> str:
    """``7.4 ms``, ``740 ms``, ``7.4 s``."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1000 * seconds:.{1 if seconds < 0.1 else 0}f} ms"


def check_plot(file: Path) -> None:
    """Before anything is registered: it is drawn when the run is over, which is too late."""
    if file.suffix not in (".svg", ".png"):
        raise Failure(f"--plot {file} is to end in .svg or .png.", ExitCode.USAGE)
    if not file.parent.is_dir():
        raise Failure(f"--plot {file}: there is no folder {file.parent}.", ExitCode.USAGE)
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise Failure(f"--plot {file} cannot be written.", ExitCode.USAGE)
    if file.suffix == ".png" and find_spec("PIL") is None:
        sentence = "a PNG needs Pillow: install plexsphere-state[plot], or name an .svg."
        raise Failure(sentence, ExitCode.USAGE)


def draw_plot(tally: Tally, title: str, file: Path) -> None:
    """Into the file that ``check_plot`` looked at."""
    from server.fleet.plot import draw

    draw(tally, title, file)
    typer.echo(f"plot: {file}", err=True)
