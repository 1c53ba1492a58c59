"""The result of one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.fuzz.exchange import Exchange
from tests.fuzz.tally import Tally


@dataclass(frozen=True, slots=True)
class Outcome:
    """The tally, the complaints, the rate and the directed exchanges."""

    tally: Tally
    complaints: list[str]
    cases_per_second: float
    directed: Sequence[Exchange] = ()
