"""What one run has come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.fuzz.exchange import Exchange
from tests.fuzz.tally import Tally


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen, what is to complain about, how fast it went, and what was directed."""

    tally: Tally
    complaints: list[str]
    cases_per_second: float
    directed: Sequence[Exchange] = ()
