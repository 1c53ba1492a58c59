"""The cost of a pull, by the rows of docs/performance.md, each beside its floor.

    make bench            (ROWS=1,2 ROUNDS=3 SECONDS=5 CONNECTIONS=16 BASE=<git ref>)

Every request is another Node's, with its own token. First figure: the worker's own CPU an answer,
as the operating system counts it. With BASE a second service, of that commit, is measured in turn
with this one. Figures of different runs or machines do not compare; ratios of one run do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from tests.bench import rows
from tests.bench.figures import load_average
from tests.bench.plots import draw_costs
from tests.bench.served import ROOT, tree_of

OUT = ROOT / ".dev" / "bench.json"
# Drawn by a run of all rows, so that a run of some rows leaves the page's picture alone.
PLOT = ROOT / "docs" / "pictures" / "bench.svg"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rows", default="", help="numbers with commas; all without")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--base", default="", help="a commit that is measured beside")
    options = parser.parse_args()
    began, load = time.monotonic(), load_average()
    run = rows.Run(
        rounds=options.rounds,
        seconds=options.seconds,
        connections=options.connections,
        now=tree_of(None),
        base=tree_of(options.base) if options.base else None,
        wanted=set(filter(None, options.rows.split(","))),
        say=lambda text: print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr),
    )
    figures: dict[str, rows.Figure] = {}
    try:
        rows.measure(run, figures)
    finally:  # what was measured before an interruption is not lost
        order = sorted(figures, key=lambda number: (int(number.rstrip("ab")), number))
        figures = {number: figures[number] for number in order}
        found = {
            "machine": {
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "kernel": platform.release(),
                "load_before": load,
                "load_after": load_average(),
            },
            "commit": commit(),
            "base": options.base or None,
            "figures": figures,
        }
        OUT.write_text(json.dumps(found, indent=1))
    console = Console(width=max(Console().width, 110))
    console.print(table(figures))
    if not run.wanted:
        draw_costs(figures, f"commit {found['commit']}, load {load[0]} before", PLOT)
    for line in slower(figures):
        console.print(line)
    console.print(f"load {load} before, {load_average()} after; {OUT.relative_to(ROOT)} is written")


def commit() -> str:
    """The commit, and whether the folder differs from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.strip()


def table(figures: dict[str, rows.Figure]) -> Table:
    made = Table(
        "#", "figure", "must reach", "ratio", "worker ms", "all ms", "per s", "p50 / p99 ms"
    )
    for number, figure in figures.items():
        own = figure.get("now", {})
        made.add_row(
            number,
            figure["what"],
            figure["must"],
            _text(figure["ratio"]),
            _text(own.get("worker_ms")),
            _text(own.get("total_ms")),
            _text(own.get("per_second")),
            f"{_text(own.get('p50_ms'))} / {_text(own.get('p99_ms'))}",
        )
    return made


def slower(figures: dict[str, rows.Figure]) -> list[str]:
    """Rows that cost more than at the other commit, by more than the rounds of either differ."""
    found = []
    for number, figure in figures.items():
        now = figure.get("now", {}).get("worker_ms_rounds")
        base = figure.get("base", {}).get("worker_ms_rounds")
        if now and base and min(now) > max(base):
            found.append(f"row {number} got slower: worker {now} ms, was {base} ms")
    return found


def _text(value: object) -> str:
    return "-" if value is None else f"{value:,.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
