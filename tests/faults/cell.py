"""One cell of the matrix: a moment of health, the fault, its end, the recovery, the losses."""

from __future__ import annotations

import time

from tests.faults import cells
from tests.faults.seen import Cell
from tests.faults.world import World

BEFORE_SECONDS = 0.3


def run(world: World, dependency: str, fault: str, how: cells.Broken, seconds: float) -> Cell:
    """The fault holds for ``seconds``, while the callers ask."""
    cell = Cell(dependency, fault)
    callers = world.callers
    world.begin(cell)
    callers.start(cell)
    try:
        time.sleep(BEFORE_SECONDS)
        with cells.fault(world, how):
            time.sleep(seconds)
        world.recover(cell)
    finally:
        callers.stop()
    world.count_losses(cell)
    world.count_events(cell)
    return cell
