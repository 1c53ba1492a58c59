"""The result of a comparison, one line for each edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from deploy.breaking.documents import Document


class Severity(Enum):
    """``BYTES`` changes the bytes of an answer, and nothing that a client reads from them."""

    BREAKING = "breaking"
    BYTES = "bytes"
    HARMLESS = "harmless"


@dataclass(frozen=True, slots=True)
class Finding:
    """One edit: its pointer, the change, and its effect on clients."""

    severity: Severity
    pointer: str
    change: str
    why: str


@dataclass(slots=True)
class Report:
    """Findings, each once, with all its places: many operations share one schema."""

    places: dict[Finding, dict[str, None]] = field(default_factory=dict)

    def add(self, finding: Finding, where: str) -> None:
        """``where`` is an operation, and the place in its requests or answers."""
        self.places.setdefault(finding, {})[where] = None

    @property
    def breaks(self) -> bool:
        """Whether any edit breaks a client."""
        return any(finding.severity is Severity.BREAKING for finding in self.places)

    def lines(self, new: Document) -> Iterator[str]:
        """The most severe first, then as in the file; a removed part has the line of its parent."""
        rank = list(Severity)
        lines = {finding: new.line_of(finding.pointer) or 0 for finding in self.places}
        for finding, line in sorted(
            lines.items(), key=lambda item: (rank.index(item[0].severity), item[1])
        ):
            where, *others = self.places[finding]
            more = f" and {len(others)} more" if others else ""
            at = f"{new.name}:{line}" if line else new.name
            yield (
                f"{finding.severity.value:<8}  {at}  {where}{more}  {finding.pointer}: "
                f"{finding.change}; {finding.why}"
            )
