"""The fuzz suite by hand: ``make fuzz``, ``make fuzz CASES=100000 SEED=7``.

JUnit, HAR, the tables and Schemathesis' own output are below .dev/fuzz/. Exit status 1 with any
complaint.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from server.dev.process import StackError
from tests.fuzz.campaign import SHORT_CASES, Run, campaign
from tests.fuzz.records import WIDTH
from tests.fuzz.report import link_table, status_table

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=200, help="at most, for each operation")
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat its requests")
    parser.add_argument("--short", action="store_true", help="as few cases as make test runs")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    run = Run(ROOT / ".dev" / "fuzz", given.cases, seed)
    if given.short:
        run = replace(run, cases=SHORT_CASES)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    try:
        outcome = campaign(run, console.print)
    except StackError as error:
        console.print(str(error))
        return 1
    console.print(status_table(outcome), link_table(outcome))
    for complaint in outcome.complaints:
        console.print(f"FAILED {complaint}", highlight=False, markup=False)
    console.print(f"seed {seed}: make fuzz CASES={run.cases} SEED={seed}; files: {run.folder}")
    return 1 if outcome.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
