"""What a comparison has to say, one line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from deploy.breaking.documents import Document


class Severity(Enum):
    """``BYTES`` changes what is on the wire and nothing that a client reads from it."""

    BREAKING = "breaking"
    BYTES = "bytes"
    HARMLESS = "harmless"


@dataclass(frozen=True, slots=True)
class Finding:
    """One edit: the pointer of what was edited, what changed, and why that matters."""

    severity: Severity
    pointer: str
    change: str
    why: str


@dataclass(slots=True)
class Report:
    """Findings, each once, with all that meets it: a shared schema is edited in one place."""

    met: dict[Finding, dict[str, None]] = field(default_factory=dict)

    def add(self, finding: Finding, where: str) -> None:
        """``where`` is an operation, and where in its requests or answers."""
        self.met.setdefault(finding, {})[where] = None

    @property
    def breaks(self) -> bool:
        """Whether any edit breaks a client."""
        return any(finding.severity is Severity.BREAKING for finding in self.met)

    def lines(self, new: Document) -> Iterator[str]:
        """The worst first, then as in the file; what is gone stands at its parent's line."""
        rank = list(Severity)
        placed = [(finding, new.line_of(finding.pointer) or 0) for finding in self.met]
        for finding, line in sorted(placed, key=lambda one: (rank.index(one[0].severity), one[1])):
            where, *others = self.met[finding]
            more = f" and {len(others)} more" if others else ""
            at = f"{new.name}:{line}" if line else new.name
            yield (
                f"{finding.severity.value:<8}  {at}  {where}{more}  {finding.pointer}: "
                f"{finding.change}; {finding.why}"
            )
