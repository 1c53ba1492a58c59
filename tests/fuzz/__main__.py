"""The fuzz suite by hand: ``make fuzz``, ``make fuzz CASES=100000 SEED=7``.

With --url it fuzzes a deployed service, as the caller of --token, and writes .dev/fuzz/deployed/.

JUnit, HAR, the tables and Schemathesis' own output are below .dev/fuzz/. Exit status 1 with any
complaint.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console

from server.dev.process import StackError
from tests.fuzz.campaign import SHORT_CASES, Run, campaign
from tests.fuzz.deployed import Target, fuzz, is_url
from tests.fuzz.records import WIDTH
from tests.fuzz.report import link_table, shares, status_table

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=200, help="at most, for each operation")
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat its requests")
    parser.add_argument("--short", action="store_true", help="as few cases as make test runs")
    parser.add_argument("--url", help="of a deployed service; it gets writes as well")
    parser.add_argument("--token", help="of the caller, for --url")
    parser.add_argument("--shares", type=Path, help="a page to write: the cases by operation")
    options = parser.parse_args(arguments)
    if (options.url is None) != (options.token is None):
        parser.error("--url and --token go together (make fuzz URL=... TOKEN=...)")
    if options.url is not None and not is_url(options.url):
        parser.error(f"--url must be http:// or https:// and a host, not {options.url!r}")
    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    if options.url is not None:
        folder = ROOT / ".dev" / "fuzz" / "deployed"
        return report(Target(folder, options.url.rstrip("/"), options.token, options.cases, seed))
    run = Run(ROOT / ".dev" / "fuzz", options.cases, seed)
    if options.short:
        run = replace(run, cases=SHORT_CASES)
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    try:
        outcome = campaign(run, console.print)
    except StackError as error:
        console.print(f"FAILED the stack: {error}; seed {seed}", markup=False, soft_wrap=True)
        return 1
    if outcome.tally.seen:
        console.print(status_table(outcome), link_table(outcome))
    if options.shares is not None and outcome.tally.seen:
        command = f"make fuzz CASES={run.cases} SEED={seed} SHARES={options.shares}"
        options.shares.write_text(shares(outcome, command))
    for complaint in outcome.complaints:
        console.print(f"FAILED {complaint}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"seed {seed}: make fuzz CASES={run.cases} SEED={seed}; files: {run.folder}")
    return 1 if outcome.complaints else 0


def report(target: Target) -> int:
    """The run against a deployed service, and its complaints line by line."""
    try:
        complaints = fuzz(target)
    except (OSError, ElementTree.ParseError) as error:
        complaints = [f"the run: {type(error).__name__}: {error}; seed {target.seed}"]
    except KeyboardInterrupt:
        complaints = [f"stopped by hand; seed {target.seed}"]
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    for complaint in complaints:
        print(f"FAILED {complaint}")
    print(f"{target.url}: {len(complaints)} complaints; seed {target.seed}; files: {target.folder}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
