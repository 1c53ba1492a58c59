"""Lint the contract: one line a fault, with file, line, column, rule and what is wrong.

    python deploy/lint-api/lint.py [FILE]

Exit code 0 when there is nothing to say, 1 for faults, 2 when a linter could not do its work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linters import ROOT, Unable, install, start

CONTRACT = "api/plexsphere-v1.yaml"
UNPARSED = "parser"


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong; lines and columns count from 1."""

    line: int
    column: int
    rule: str
    message: str


def main(arguments: Sequence[str]) -> int:
    """Run both linters, print what they found in the order of the file, and how much that was."""
    file = arguments[0] if arguments else CONTRACT
    try:
        if not Path(file).is_file():
            raise Unable(f"there is no file {file}.")
        install()
        faults = found_in(file)
    except Unable as reason:
        print(f"plexsphere-state: {reason}", file=sys.stderr)
        return 2
    for fault in sorted(faults):
        print(f"{file}:{fault.line}:{fault.column}  {fault.rule}  {fault.message}")
    print(f"{file}: {len(faults) or 'no'} fault{'s' * (len(faults) != 1)}")
    return 1 if faults else 0


def found_in(file: str) -> set[Fault]:
    """The faults that both found; a file that is not YAML is one fault."""
    spectral_options = ("--quiet", "--format=json", "--ruleset", str(ROOT / ".spectral.yaml"))
    redocly_options = ("--format=json", "--config", str(ROOT / ".redocly.yaml"))
    # At once, since most of what they do is to start.
    started = [
        (start("spectral", spectral_options, file), spectral_faults),
        (start("redocly", redocly_options, file), redocly_faults),
    ]
    faults: set[Fault] = set()
    failures: list[str] = []
    for process, read in started:
        output, errors = process.communicate()
        try:
            faults.update(read(json.loads(output)))
        except ValueError:
            failures.append(errors.strip() or output.strip() or "it said nothing")
    unparsed = {fault for fault in faults if fault.rule == UNPARSED}
    if failures and not unparsed:
        raise Unable(f"a linter gave no result: {failures[0]}")
    return unparsed or faults


def spectral_faults(results: list[dict[str, Any]]) -> Iterator[Fault]:
    """Spectral's JSON, which counts from 0."""
    for fault in results:
        at = fault["range"]["start"]
        yield Fault(
            line=at["line"] + 1,
            column=at["character"] + 1,
            rule=fault["code"],
            message=one_line(fault["message"]),
        )


def redocly_faults(results: dict[str, Any]) -> Iterator[Fault]:
    """Redocly's JSON; of several places the first is the one to mend."""
    for fault in results["problems"]:
        at = fault["location"][0].get("start", {"line": 1, "col": 1})
        yield Fault(
            line=at["line"],
            column=at["col"],
            rule=fault["ruleId"],
            message=one_line(fault["message"]),
        )


def one_line(message: str) -> str:
    """A message without its line breaks."""
    return " ".join(message.split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
