"""Latencies and statuses over time, as a Vega-Lite chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from server.fleet.tally import Tally
from server.fleet.wire import NO_ANSWER, status_name

WIDTH, HEIGHT = 900, 220  # pixels of each of the two charts
P50, P99, GREY = "#1565c0", "#c62828", "#424242"
# By the first digit of the status: served, unchanged, refused, failed.
STATUS = {2: "#2e7d32", 3: "#66bb6a", 4: "#f9a825", 5: "#c62828"}


def draw(tally: Tally, title: str, file: Path) -> None:
    """Writes an SVG or a PNG, by the file's ending; the tally must not be empty.

    Raises ImportError without vl-convert-python, OSError.
    """
    import vl_convert

    charts = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title,
        "background": "white",
        "vconcat": [_latencies(tally), _statuses(tally)],
        "resolve": {"scale": {"color": "independent"}},
    }
    if file.suffix == ".svg":
        file.write_text(vl_convert.vegalite_to_svg(charts))
    else:
        file.write_bytes(vl_convert.vegalite_to_png(charts))


def _latencies(tally: Tally) -> dict[str, Any]:
    """Points: a second without an answer has no latency through which a line could pass."""
    points = [
        {"second": second.at, "quantile": name, "ms": 1000 * max(1e-4, value)}
        for second in tally.seconds()
        for name, value in (("p50", second.p50), ("p99", second.p99))
    ]
    return _chart(
        "latency from when due, at the second of the answer",
        points,
        mark={"type": "square", "size": 16, "opacity": 1},
        y={"field": "ms", "type": "quantitative", "title": "ms", "scale": {"type": "log"}},
        color=_legend("quantile", {"p50": P50, "p99": P99}),
    )


def _statuses(tally: Tally) -> dict[str, Any]:
    """A bar for each second, stacked by status, with the missing answers on top."""
    seconds = tally.seconds()
    statuses = {status for second in seconds for status in second.statuses}
    ordered = sorted(statuses, key=lambda status: (status == NO_ANSWER, status))
    bars = [
        {
            "second": second.at,
            "until": second.at + 1,
            "status": status_name(status),
            "position": position,
            "answers": second.statuses[status],
        }
        for second in seconds
        for position, status in enumerate(ordered)
        if second.statuses[status]
    ]
    colours = {status_name(status): STATUS.get(status // 100, GREY) for status in ordered}
    return _chart(
        "answers in each second",
        bars,
        mark="bar",
        x2={"field": "until"},
        y={"field": "answers", "type": "quantitative", "title": None},
        color=_legend("status", colours),
        order={"field": "position"},
    )


def _chart(title: str, values: list[dict[str, Any]], mark: Any, **encoding: Any) -> dict[str, Any]:
    x: dict[str, Any] = {"field": "second", "bin": "binned", "type": "quantitative"}
    x |= {"title": "seconds since the start", "axis": {"grid": False}}
    return {
        "title": title,
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": values},
        "mark": mark,
        "encoding": {"x": x, **encoding},
    }


def _legend(field: str, colours: dict[str, str]) -> dict[str, Any]:
    scale = {"domain": list(colours), "range": list(colours.values())}
    return {"field": field, "type": "nominal", "title": None, "scale": scale}
