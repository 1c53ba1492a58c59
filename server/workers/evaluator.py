"""The reachability evaluator: sweeps on an interval.

Several may run. One is elected and sweeps; the others ask at the same interval and take over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog

from composer.deadline import Deadline
from composer.errors import ComposerError
from composer.reachability import Sweep, Transition
from server.workers.loop import Turn, TurnLoop

SWEEP_SECONDS = 5.0

_log = structlog.stdlib.get_logger("plexsphere")


class Sweeps(Protocol):
    """The ledger, as the evaluator needs it."""

    def sweep(self, deadline: Deadline) -> Sweep | None:
        """Update the state of every Node by its last heartbeat; None while another is elected.

        Only Nodes whose state changes are written, none on a heartbeat that the sweep has not seen,
        and no Node gets worse by a silence during a pause of the evaluators. Raises
        DatastoreUnavailable, or another ComposerError; the election is lost then.
        """
        ...

    def sweep_once(self, deadline: Deadline) -> Sweep:
        """Sweep without an election, for a command that sweeps once.

        A pause counts only if the elected evaluator has swept since the pause.
        """
        ...


def evaluator_loop(
    sweeps: Sweeps, interval: float, clock: Callable[[], float] = time.monotonic
) -> TurnLoop:
    """The loop of the evaluator's process.

    ``interval`` in seconds, from the start of a sweep to the start of the next.
    """
    return TurnLoop(
        sweep_turn(sweeps, interval, clock),
        failing="evaluator_cannot_sweep",
        recovered="evaluator_can_sweep_again",
    )


def sweep_turn(sweeps: Sweeps, interval: float, clock: Callable[[], float]) -> Turn:
    """A turn is one sweep."""
    was_elected: bool | None = None

    def turn() -> float:
        nonlocal was_elected
        started = clock()
        try:
            sweep = sweeps.sweep(Deadline.after(SWEEP_SECONDS, clock))
        except ComposerError:
            was_elected = None
            raise
        is_elected = sweep is not None
        if is_elected != was_elected:
            _log.info("evaluator_elected" if is_elected else "evaluator_waits_for_another")
        was_elected = is_elected
        if sweep is not None:
            log_sweep(sweep)
        return max(0.0, interval - (clock() - started))

    return turn


def log_sweep(sweep: Sweep) -> None:
    """One line for a sweep that changed a state; a debug line for the others."""
    if sweep.resumed:
        _log.warning("evaluator_resumed_after_a_pause")
    if sweep.transitions:
        transitions = [transition_fields(transition) for transition in sweep.transitions]
        _log.info("reachability_moved", nodes=sweep.nodes, transitions=transitions)
    else:
        _log.debug("reachability_unmoved")


def transition_fields(transition: Transition) -> dict[str, object]:
    """A transition as logs and scripts read it; ``node_ids`` are only some of the Nodes."""
    return {
        "from": transition.old_state,
        "to": transition.new_state,
        "nodes": transition.nodes,
        "node_ids": list(transition.example_ids),
    }
