"""Every exchange through the same checks and the same counting, whoever sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.exchange import Exchange
from tests.fuzz.own_checks import Check, snapshot_checks
from tests.fuzz.problem_checks import answer_checks
from tests.fuzz.tally import DIRECTED, Tally
from tests.fuzz.world import World
from tests.fuzz.write_checks import write_checks

if TYPE_CHECKING:
    from tests.fuzz.declared import Declared

# Schemathesis meets these by itself, in every run.
MET_BY_SCHEMATHESIS = (200, 304, 400, 401)


class Judge:
    """The own checks over one world, and what they have seen."""

    def __init__(self, world: World, declared: Declared | None = None) -> None:
        self.world = world
        self.tally = Tally()
        self.directed: list[Exchange] = []
        self.is_cut = False  # some directed cases were not asked
        self._declared = declared
        self.checks: dict[str, Check] = {
            **answer_checks(),
            **snapshot_checks(),
            **write_checks(),
        }

    def complaint(self, check: str, exchange: Exchange) -> str | None:
        """The complaint of one check, kept for the report."""
        try:
            complaint = self.checks[check](exchange, self.world)
        except Exception as error:  # a broken service answers what no check can read
            complaint = f"cannot be judged: {type(error).__name__}: {error}"
        if complaint is not None:
            self.tally.fail(check, complaint, exchange)
        return complaint

    def take(self, exchange: Exchange) -> None:
        """A directed case: counted, and held against every own check and its declaration."""
        self.directed.append(exchange)
        self.tally.add(exchange, DIRECTED)
        self.world.learn(exchange.name, exchange.value)
        for check in self.checks:
            self.complaint(check, exchange)
        if exchange.status not in MET_BY_SCHEMATHESIS:
            for check, complaint in self._declarations().complaints(exchange):
                self.tally.fail(check, complaint, exchange)

    def _declarations(self) -> Declared:
        if self._declared is None:
            from tests.fuzz.declared import Declared  # which imports Schemathesis, for a second

            self._declared = Declared()
        return self._declared
