"""The position of the ledger that an answer has seen, so that no later answer is older."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TEXT = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,10})-([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LedgerPosition:
    """A position of the ledger ``system`` on its ``timeline``, in numbers of transactions.

    Every transaction before ``all_before`` is seen, and none from ``none_from`` on.
    """

    system: int
    timeline: int
    all_before: int
    none_from: int

    @property
    def text(self) -> str:
        """The form on the wire."""
        return f"{self.system:x}-{self.timeline}-{self.all_before}-{self.none_from}"

    def sees(self, earlier: LedgerPosition) -> bool:
        """Whether this position includes ``earlier``; True for one of another ledger, because such
        positions do not compare."""
        return self.system != earlier.system or (
            self.timeline >= earlier.timeline
            and self.all_before >= earlier.all_before
            and self.none_from >= earlier.none_from
        )


def parse_position(text: str) -> LedgerPosition | None:
    """The position of a text on the wire; None for any other text."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    system, *numbers = match.groups()
    return LedgerPosition(int(system, 16), *map(int, numbers))
