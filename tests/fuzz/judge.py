"""Every exchange through the same checks and the same counting, whoever sent it."""

from __future__ import annotations

from tests.fuzz.exchange import Exchange
from tests.fuzz.own_checks import Check, snapshot_checks
from tests.fuzz.problem_checks import answer_checks
from tests.fuzz.tally import DIRECTED, Tally
from tests.fuzz.world import World


class Judge:
    """The own checks over one world, and what they have seen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tally = Tally()
        self.checks: dict[str, Check] = {**answer_checks(), **snapshot_checks()}

    def complaint(self, check: str, exchange: Exchange) -> str | None:
        """What one check says, kept for the report."""
        complaint = self.checks[check](exchange, self.world)
        if complaint is not None:
            self.tally.fail(check, complaint, exchange)
        return complaint

    def take(self, exchange: Exchange) -> None:
        """A directed case: counted and held against every own check."""
        self.tally.add(exchange, DIRECTED)
        for check in self.checks:
            self.complaint(check, exchange)
