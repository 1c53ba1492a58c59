"""The matrix of faults: each dependency with each fault, and what callers see of it.

    make faults           (DEPENDENCIES=Postgres,clock FAULTS=down SECONDS=3)

First the checker itself is shown to find a planted fault in each column. Then each cell has callers
that never pause, a fault from outside, and its end. Exit code 1 where a cell is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import sys

from rich.console import Console
from rich.table import Table

from tests.faults import cells
from tests.faults.cell import run
from tests.faults.planted import COLUMNS, planted
from tests.faults.seen import EVENT_FAULTS, Cell
from tests.faults.world import ROOT, world

OUT = ROOT / ".dev" / "faults.json"
PAGE = ROOT / "docs" / "faults.md"
INTRODUCTION = """\
Made by `make faults`: each dependency is broken in each way from outside, while agents, strangers,
an editor and a load balancer ask. *answers* are those that they got; *stale* is a last answer.
*wrong*: the ledger never said so, it is older than the answer before it, or the contract does not
declare it. *open*: an answer to a caller without the role. *partial*: a 200 that is not whole.
*longest*: the longest wait for an answer, `/livez` included. *recovered*: from the end of the fault
to a fresh answer for every Node and an acknowledged write. *lost*: acknowledged writes, and audit
rows, that the ledger lacks and nobody counted. *events*: those that streams of three Nodes, held
during the fault and resumed where they ended, had, and when after its end they had all of the
ledger's; then how many of them they lost, had twice, had in another order. A run of a part replaces
its rows."""
NAMES = (
    *("dependency", "fault", "answers", "wrong", "open", "partial", "longest", "recovered", "lost"),
    *("events", "lost, doubled, reordered"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--dependencies", default=",".join(cells.DEPENDENCIES))
    parser.add_argument("--faults", default=",".join(cells.FAULTS))
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each fault holds")
    options = parser.parse_args()
    dependencies, faults = named(options.dependencies), named(options.faults)
    found: list[Cell | tuple[str, str, str]] = []
    with world() as running:
        missed = [column for column in COLUMNS if not planted(running, column)]
        print(f"planted faults found: {len(COLUMNS) - len(missed)} of {len(COLUMNS)}", flush=True)
        if missed:
            sys.exit(f"the checker does not find: {', '.join(missed)}")
        for dependency in dependencies:
            for fault in faults:
                how = cells.broken(dependency, fault)
                if isinstance(how, str):
                    found.append((dependency, fault, how))
                    continue
                cell = run(running, dependency, fault, how, options.seconds)
                found.append(cell)
                line(cell)
    write(found)
    PAGE.write_text(page(found, PAGE.read_text()))
    show(found)
    if not all(cell.is_good for cell in found if isinstance(cell, Cell)):
        sys.exit(1)


def named(text: str) -> list[str]:
    """Names with commas between them; make passes none with a space, so _ is one."""
    return text.replace("_", " ").split(",")


def line(cell: Cell) -> None:
    recovered = "never" if cell.recovered_s is None else f"{cell.recovered_s:.2f} s"
    faults = ", ".join(cell.faults()) or "good"
    print(
        f"{cell.dependency:<12}{cell.fault:<20}{faults:<24}longest {cell.longest_s:.2f} s, livez "
        f"{cell.livez_s:.2f} s, recovered {recovered}, events {events(cell)}  {dict(cell.answers)}",
        flush=True,
    )
    for note in cell.notes:
        print(f"    {note}", flush=True)


def write(found: list[Cell | tuple[str, str, str]]) -> None:
    OUT.write_text(
        json.dumps(
            {"cells": [cell.as_json() for cell in found if isinstance(cell, Cell)]}, indent=1
        )
    )


def show(found: list[Cell | tuple[str, str, str]]) -> None:
    table = Table(*NAMES)
    for cell in found:
        table.add_row(*(columns(cell) if isinstance(cell, Cell) else no_sense(cell)))
    Console(width=160).print(table)


def columns(cell: Cell) -> list[str]:
    recovered = "never" if cell.recovered_s is None else f"{cell.recovered_s:.2f} s"
    return [
        cell.dependency,
        cell.fault,
        ", ".join(sorted(cell.answers)),
        *map(str, (cell.wrong, cell.fail_open, cell.partial)),
        f"{max(cell.longest_s, cell.livez_s):.2f} s",
        recovered,
        str(cell.lost),
        *events(cell),
    ]


def events(cell: Cell) -> tuple[str, str]:
    """The two columns of a cell; empty where no stream was held."""
    if cell.events is None:
        return "", ""
    caught_up = "never all" if cell.events_s is None else f"{cell.events_s:.2f} s"
    faults = ", ".join(str(getattr(cell, name)) for name in EVENT_FAULTS)
    return f"{cell.events} in {caught_up}", faults


def page(found: list[Cell | tuple[str, str, str]], before: str) -> str:
    """docs/faults.md; the rows of other cells are those of ``before``."""
    rows = {tuple(line.split(" | ", 2)[:2]): line for line in before.splitlines()}
    for cell in found:
        values = columns(cell) if isinstance(cell, Cell) else no_sense(cell)
        rows["| " + values[0], values[1]] = f"| {' | '.join(values)} |"
    pairs = [("| " + name, fault) for name in cells.DEPENDENCIES for fault in cells.FAULTS]
    table = [f"| {' | '.join(NAMES)} |", "|" + "---|" * len(NAMES)]
    table += [rows[pair] for pair in pairs if pair in rows]
    return "\n".join(["# Faults", "", INTRODUCTION, "", *table]) + "\n"


def no_sense(cell: tuple[str, str, str]) -> list[str]:
    """The columns of a pair without a cell."""
    dependency, fault, reason = cell
    return [dependency, fault, f"makes no sense: {reason}", *[""] * (len(NAMES) - 3)]


if __name__ == "__main__":
    main()
