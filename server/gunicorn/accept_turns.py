"""Workers let clients in by turns, so that each has its share of them.

A listener is everybody's, and the kernel wakes the same worker first each time: of 5,000 clients
that came at once, one of two workers had 4,300.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass

# Workers that there may be at once, those of a reload included; one that finds no place takes
# clients as they come.
PLACES = 128
_NOBODY, _NO_MORE = 0, 2**64 - 1


class AcceptTurns:
    """The number of clients that each worker has let in, in memory that all of them share."""

    def __init__(self) -> None:
        """Made before the first fork."""
        self._taken = memoryview(mmap.mmap(-1, PLACES * 8)).cast("Q")

    def join(self) -> AcceptTurn | None:
        """A place for a new worker, which begins with as many as the others have; None without
        one."""
        for place, taken in enumerate(self._taken):
            if taken == _NOBODY:
                self._taken[place] = max(1, *(most for most in self._taken if most != _NO_MORE))
                return AcceptTurn(self._taken, place)
        return None


@dataclass(frozen=True, slots=True)
class AcceptTurn:
    """The place of one worker."""

    _taken: memoryview[int]
    _place: int

    def is_ours(self) -> bool:
        """Whether no other worker has let in fewer clients."""
        own = self._taken[self._place]
        return not any(_NOBODY < taken < own for taken in self._taken)

    def count(self, clients: int) -> None:
        """Note that this worker has let in so many."""
        self._taken[self._place] += clients

    def end(self) -> None:
        """No other waits for this worker any more: it stops."""
        self._taken[self._place] = _NO_MORE

    def leave(self) -> None:
        """The worker is gone; for its master."""
        self._taken[self._place] = _NOBODY
