"""Latency and status over time, as one picture."""

from __future__ import annotations

from pathlib import Path

from server.fleet.tally import Tally, status_name

# By the first digit of the status: served, refused, failed, not answered.
COLOURS = {2: "#2e7d32", 3: "#66bb6a", 4: "#f9a825", 5: "#c62828", 0: "#424242"}


def draw(tally: Tally, title: str, file: Path) -> None:
    """PNG or SVG, by the file's ending. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure  # a figure of its own: no window, no global state

    seconds = tally.seconds()
    moments = [one.at for one in seconds]
    figure = Figure(figsize=(11, 6), layout="constrained")
    latency, status = figure.subplots(2, 1, sharex=True)
    latency.set_title(title)
    # Dots: a second without an answer has no latency to draw a line through.
    for name, colour, values in (
        ("p99", "#c62828", [one.p99 for one in seconds]),
        ("p50", "#1565c0", [one.p50 for one in seconds]),
    ):
        latency.plot(moments, [1000 * one for one in values], ".", label=name, color=colour)
    latency.set_yscale("log")
    latency.set_ylabel("latency, ms")
    latency.legend(loc="upper right")
    latency.grid(alpha=0.3)
    below = [0] * len(moments)
    for kind in sorted({status for one in seconds for status in one.statuses}):
        counts = [one.statuses[kind] for one in seconds]
        colour = COLOURS.get(kind // 100, "#424242")
        status.bar(moments, counts, 1.0, below, align="edge", label=status_name(kind), color=colour)
        below = [under + more for under, more in zip(below, counts, strict=True)]
    if moments:
        status.legend(loc="upper right")
    status.set_ylabel("answers a second")
    status.set_xlabel("seconds since the start")
    status.grid(alpha=0.3)
    figure.savefig(file)
