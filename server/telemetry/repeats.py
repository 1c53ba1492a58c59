"""Limits log lines that a caller can cause in any number: after some lines a minute, a count."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Event -> the fields that two lines of one kind have in common.
LIMITED: Mapping[str, tuple[str, ...]] = {
    "peer_dropped": ("addressed_node_id", "peer_node_id", "outcome"),
    "request_malformed": ("status", "cause"),
    "request_refused": ("operation", "status", "code", "path"),
}
WINDOW_SECONDS = 60.0
# The number of kinds that are counted; the oldest is dropped after its count was written.
MOST_KINDS = 10_000

Kind = tuple[str, ...]


@dataclass(slots=True)
class RepeatWindow:
    """The lines of one kind in a minute."""

    began: float
    written: int = 0
    repeated: int = 0
    last: Mapping[str, Any] = field(default_factory=dict)


class Repeats:
    """Passes a few lines of each kind, and counts the others. Not thread-safe."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        """``most`` lines of a kind are written in a minute; ``clock`` is monotonic seconds."""
        self._most = most
        self._clock = clock
        self._windows: OrderedDict[Kind, RepeatWindow] = OrderedDict()

    def forget(self) -> None:
        """Drop all counts: another process writes them."""
        self._windows.clear()

    def admits(self, event: Mapping[str, Any]) -> bool:
        """Whether a line must be written; any other line is counted."""
        fields = LIMITED.get(str(event.get("event")))
        if fields is None:
            return True
        kind = (str(event["event"]), *(str(event.get(name)) for name in fields))
        window = self._windows.get(kind)
        if window is None:
            window = self._windows[kind] = RepeatWindow(self._clock())
        if window.written < self._most:
            window.written += 1
            return True
        window.repeated += 1
        window.last = event
        return False

    def over(self, *, all_of_them: bool = False) -> list[dict[str, Any]]:
        """The counts of the minutes that are over, as events, oldest first; each once."""
        counts = []
        now = self._clock()
        while self._windows:
            kind, window = next(iter(self._windows.items()))
            is_over = now - window.began >= WINDOW_SECONDS or len(self._windows) > MOST_KINDS
            if not (is_over or all_of_them):
                break
            del self._windows[kind]
            if window.repeated:
                names = (*LIMITED[kind[0]], "level")
                same = {name: window.last[name] for name in names if name in window.last}
                counts.append({"event": kind[0], **same, "repeated": window.repeated})
        return counts
