"""The kept file: the answer and the audit rows of every case.

Equal outcomes are kept once, under a label; a case names the label. A line is one operation, one
world and one variant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.golden.operations.asking import Case, Outcome, code_of

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept file: ``part`` is what of an outcome stands in it, ``about`` is its label's text."""

    path: Path
    part: Callable[[Outcome], Any]
    about: Callable[[Any], str]

    def label(self, part: Any) -> str:
        """The same for equal outcomes, and for no others."""
        digest = hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()
        return f"{self.about(part)} {digest[:8]}"

    def read(self) -> Recording:
        written = json.loads(self.path.read_text(encoding="utf-8"))
        return Recording(written["outcomes"], written["cases"])

    def write(self, outcomes: Iterable[tuple[Case, Outcome]]) -> None:
        """The whole file anew."""
        found: dict[str, Any] = {}
        lines: dict[str, dict[str, list[str]]] = {}
        for case, outcome in outcomes:
            part = self.part(outcome)
            label = self.label(part)
            found[label] = part
            lines.setdefault(line_of(case), {}).setdefault(label, []).append(case.caller.name)
        text = (
            f'{{"outcomes":{{\n{_rows(dict(sorted(found.items())))}\n}},\n'
            f'"cases":{{\n{_rows(lines)}\n}}}}\n'
        )
        self.path.write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Recording:
    """A kept file, read: outcomes by label, and callers by line and label."""

    outcomes: Mapping[str, Any]
    lines: Mapping[str, Mapping[str, list[str]]]

    def expected(self, case: Case) -> Any:
        """The recorded answer of a case; None where there is none."""
        for label, callers in self.lines.get(line_of(case), {}).items():
            if case.caller.name in callers:
                return self.outcomes[label]
        return None

    def count(self, operation: str) -> int:
        """The number of recorded cases of an operation."""
        return sum(len(callers) for labels in self._of(operation) for callers in labels.values())

    def answers_of(self, operation: str) -> list[Any]:
        """Every outcome of an operation."""
        return [self.outcomes[label] for labels in self._of(operation) for label in labels]

    def _of(self, operation: str) -> list[Mapping[str, list[str]]]:
        start = f"{operation} | "
        return [labels for line, labels in self.lines.items() if line.startswith(start)]


def line_of(case: Case) -> str:
    """The line of the kept files that a case stands in."""
    return f"{case.operation} | {case.world.name} | {case.variant.name}"


def _rows(values: Mapping[str, Any]) -> str:
    rows = (f"{_compact(name)}:{_compact(value)}" for name, value in values.items())
    return ",\n".join(rows)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _status_and_code(answer: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (str(answer["status"]), code_of(answer))))


ANSWERS = Kept(FOLDER / "answers.json", lambda outcome: outcome.answer, _status_and_code)
