"""What a sweep of the reachability evaluator did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transition:
    """``nodes`` Nodes went from one state to another; ``some`` are a few of their ids."""

    was: str
    state: str
    nodes: int
    some: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every transition of one sweep, all of one moment.

    ``resumed`` says that nobody had listened for a while: Nodes are judged by their silence from
    this sweep on.
    """

    transitions: tuple[Transition, ...]
    resumed: bool

    @property
    def nodes(self) -> int:
        """How many Nodes changed state."""
        return sum(one.nodes for one in self.transitions)
