"""Latency and status over time, as one picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from server.fleet.canvas import LETTER, LINE, Canvas, canvas
from server.fleet.tally import Second, Tally
from server.fleet.wire import NO_ANSWER, status_name

WIDTH, HEIGHT = 1_100, 640
LEFT, RIGHT = 80, 1_060
GRID, GREY = "#e0e0e0", "#424242"
P50, P99 = "#1565c0", "#c62828"
# By the first digit of the status: served, unchanged, refused, failed.
STATUS = {2: "#2e7d32", 3: "#66bb6a", 4: "#f9a825", 5: "#c62828"}
DOT = 4  # pixels


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from ``low`` to ``high`` on the pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def draw(tally: Tally, title: str, file: Path) -> None:
    """PNG or SVG, by the file's ending. Raises ImportError for a PNG without Pillow, OSError."""
    seconds = tally.seconds()
    made = canvas(file, WIDTH, HEIGHT)
    made.words(LEFT, 30, title)
    time = Axis(0.0, max((one.at + 1.0 for one in seconds), default=1.0), LEFT, RIGHT)
    _latencies(made, seconds, time)
    _statuses(made, seconds, time)
    file.write_bytes(made.to_bytes())


def _latencies(made: Canvas, seconds: list[Second], time: Axis) -> None:
    """Dots: a second without an answer has no latency to draw a line through."""
    found = [max(1e-4, value) for one in seconds for value in (one.p50, one.p99)] or [0.01]
    decades = math.floor(math.log10(min(found))), math.floor(math.log10(max(found))) + 1
    axis = Axis(*decades, 320, 70)
    for decade in range(decades[0], decades[1] + 1):
        _rule(made, axis.at(decade), f"{1000 * 10.0**decade:g} ms")
    for one in seconds:
        for value, colour in ((one.p99, P99), (one.p50, P50)):
            y = axis.at(math.log10(max(1e-4, value)))
            made.box(time.at(one.at) - DOT / 2, y - DOT / 2, DOT, DOT, colour)
    made.words(LEFT, 50, "latency from when due, at the second of the answer")
    _legend(made, 50, (("p50", P50), ("p99", P99)))


def _statuses(made: Canvas, seconds: list[Second], time: Axis) -> None:
    """A bar a second, a part a status."""
    axis = Axis(0.0, max((one.statuses.total() for one in seconds), default=1), 580, 370)
    for value in _steps(axis.high):
        _rule(made, axis.at(value), f"{value:g}")
    # What was served is at the bottom, where nothing came on top.
    found = {status for one in seconds for status in one.statuses}
    kinds = sorted(found, key=lambda status: (status == NO_ANSWER, status))
    for one in seconds:
        below = axis.start
        for kind in kinds:
            height = axis.start - axis.at(one.statuses[kind])
            if height:
                below -= height
                made.box(time.at(one.at), below, time.at(1) - LEFT, height, _colour(kind))
    for value in _steps(time.high):
        made.words(time.at(value), 600, f"{value:g}")
    made.words(LEFT, 625, "seconds since the start")
    made.words(LEFT, 355, "answers a second")
    _legend(made, 355, ((status_name(kind), _colour(kind)) for kind in kinds))


def _rule(made: Canvas, y: float, label: str) -> None:
    made.box(LEFT, y, RIGHT - LEFT, 1, GRID)
    made.words(LEFT - 10 - LETTER * len(label), y + LINE / 3, label)


def _legend(made: Canvas, y: float, entries: Iterable[tuple[str, str]]) -> None:
    """Right-aligned, in one line."""
    x: float = RIGHT
    for name, colour in reversed(list(entries)):
        x -= LETTER * len(name)
        made.words(x, y, name)
        x -= LINE + 5
        made.box(x, y - LINE + 2, LINE, LINE, colour)
        x -= 2 * LETTER


def _colour(status: int) -> str:
    return STATUS.get(status // 100, GREY)


def _steps(high: float) -> Iterator[float]:
    """Round numbers from zero to ``high``, five to twelve of them where there is room."""
    size = 10.0 ** math.floor(math.log10(high))
    step = next(size * part for part in (0.1, 0.2, 0.5, 1.0) if high / (size * part) <= 12)
    yield from (step * number for number in range(int(high / step) + 1))
