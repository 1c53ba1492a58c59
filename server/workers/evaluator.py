"""The reachability evaluator: sweeps on an interval, whatever becomes of Postgres meanwhile.

Any number may run. One is elected and sweeps; the others ask at the same rhythm and take over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn, Protocol

import structlog

from composer.deadline import Deadline
from composer.errors import ComposerError
from composer.reachability import Sweep, Transition

SWEEP_SECONDS = 5.0
FIRST_BACKOFF = 0.5  # seconds, doubled at every failure
LONGEST_BACKOFF = 5.0

_log = structlog.stdlib.get_logger("plexsphere")


class Sweeps(Protocol):
    """The ledger, as the evaluator sees it."""

    def sweep(self, deadline: Deadline) -> Sweep | None:
        """Move every Node's state to what its silence says; None while another one is elected.

        Only Nodes whose state changes are written, none on a heartbeat it has not seen, and none
        gets worse by a silence that fell into a pause. Raises DatastoreUnavailable, or another
        ComposerError; the election is lost then.
        """
        ...

    def sweep_once(self, deadline: Deadline) -> Sweep:
        """The same without being elected, for somebody who asks for one sweep.

        A pause counts where the elected evaluator sweeps since it; else silence is what it is.
        """
        ...


class Evaluator:
    """``run`` it in a process of its own; one thread."""

    def __init__(
        self,
        sweeps: Sweeps,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """``interval`` in seconds, from the beginning of one sweep to that of the next."""
        self._sweeps = sweeps
        self._interval = interval
        self._clock = clock
        self._wait = wait
        self._backoff = FIRST_BACKOFF
        self._failing = False
        self._elected: bool | None = None

    def run(self) -> NoReturn:
        """For ever; what ends it is a signal."""
        while True:
            self._wait(self.turn())

    def turn(self) -> float:
        """One try; how many seconds to wait for the next."""
        began = self._clock()
        try:
            sweep = self._sweeps.sweep(Deadline.after(SWEEP_SECONDS, self._clock))
        except ComposerError as error:
            return self._failed(error)
        self._succeeded(sweep is not None)
        if sweep is not None:
            tell(sweep)
        return max(0.0, self._interval - (self._clock() - began))

    def _failed(self, error: ComposerError) -> float:
        if not self._failing:
            _log.warning("evaluator_cannot_sweep", error=str(error), cause=_cause(error))
        self._failing, self._elected = True, None
        pause, self._backoff = self._backoff, min(2 * self._backoff, LONGEST_BACKOFF)
        return pause

    def _succeeded(self, elected: bool) -> None:
        if self._failing:
            _log.info("evaluator_can_sweep_again")
        if elected != self._elected:
            _log.info("evaluator_elected" if elected else "evaluator_waits_for_another")
        self._failing, self._elected, self._backoff = False, elected, FIRST_BACKOFF


def _cause(error: ComposerError) -> str:
    """What the driver said, on one line; it names hosts and roles, never a password."""
    return " ".join(str(error.__cause__ or "").split())


def tell(sweep: Sweep) -> None:
    """One line a sweep that moved anything; nothing but a debug line for the others."""
    if sweep.resumed:
        _log.warning("evaluator_resumed_after_a_pause")
    if sweep.transitions:
        moved = [as_fields(one) for one in sweep.transitions]
        _log.info("reachability_moved", nodes=sweep.nodes, transitions=moved)
    else:
        _log.debug("reachability_unmoved")


def as_fields(one: Transition) -> dict[str, object]:
    """A transition as logs and scripts read it; the ids are a few of them."""
    return {"from": one.was, "to": one.state, "nodes": one.nodes, "node_ids": list(one.some)}
