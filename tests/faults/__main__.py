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
from tests.faults.seen import Cell
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
rows, that the ledger lacks and nobody counted."""


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
    whole = set(dependencies) == set(cells.DEPENDENCIES) and set(faults) == set(cells.FAULTS)
    if whole:
        PAGE.write_text(page(found))
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
        f"{cell.livez_s:.2f} s, recovered {recovered}  {dict(cell.answers)}",
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
    table = Table(*("dependency", "fault", "answers", "wrong", "open", "partial", "longest",
                    "recovered", "lost"))  # fmt: skip
    for cell in found:
        if isinstance(cell, Cell):
            table.add_row(*columns(cell))
        else:
            table.add_row(cell[0], cell[1], f"no sense: {cell[2]}")
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
    ]


def page(found: list[Cell | tuple[str, str, str]]) -> str:
    """docs/faults.md."""
    names = ("dependency", "fault", "answers", "wrong", "open", "partial", "longest", "recovered",
             "lost")  # fmt: skip
    lines = [
        "# Faults",
        "",
        INTRODUCTION,
        "",
        f"| {' | '.join(names)} |",
        "|" + "---|" * len(names),
    ]
    for cell in found:
        if isinstance(cell, Cell):
            lines.append(f"| {' | '.join(columns(cell))} |")
        else:
            lines.append(f"| {cell[0]} | {cell[1]} | makes no sense: {cell[2]} | | | | | | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
