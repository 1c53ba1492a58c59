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
    latency.plot(moments, [one.p99 * 1000 for one in seconds], label="p99", color="#c62828")
    latency.plot(moments, [one.p50 * 1000 for one in seconds], label="p50", color="#1565c0")
    latency.set_yscale("log")
    latency.set_ylabel("latency, ms")
    latency.legend(loc="upper right")
    latency.grid(alpha=0.3)
    kinds = sorted({status for one in seconds for status in one.statuses})
    counts = [[one.statuses[kind] for one in seconds] for kind in kinds]
    if kinds:
        colours = [COLOURS.get(kind // 100, "#424242") for kind in kinds]
        status.stackplot(moments, counts, labels=list(map(status_name, kinds)), colors=colours)
        status.legend(loc="upper right")
    status.set_ylabel("answers a second")
    status.set_xlabel("seconds since the start")
    status.grid(alpha=0.3)
    figure.savefig(file)
