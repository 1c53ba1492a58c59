"""The plots of docs/pictures, of a whole run of ``make bench``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vl_convert

PARTS = {"worker_ms": "worker", "spicedb_ms": "SpiceDB", "postgres_ms": "Postgres"}
COLOURS = ["#1565c0", "#f9a825", "#66bb6a"]
SIDES = {"now": "", "base": " (BASE)", "floor": " (floor)"}
WIDTH = 640


def draw_costs(figures: Mapping[str, Mapping[str, Any]], title: str, file: Path) -> bool:
    """CPU of an answer by part, a bar for each row and side; whether there was any to draw."""
    bars = [
        {"row": f"{number}{label}", "part": part, "order": place, "ms": figure[side][key]}
        for number, figure in figures.items()
        for side, label in SIDES.items()
        if "worker_ms" in figure.get(side, {})
        for place, (key, part) in enumerate(PARTS.items())
        if key in figure[side]
    ]
    if not bars:
        return False
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title,
        "background": "white",
        "width": WIDTH,
        "data": {"values": bars},
        "mark": "bar",
        "encoding": {
            "y": {"field": "row", "type": "nominal", "sort": None, "title": "row"},
            "x": {"field": "ms", "type": "quantitative", "title": "ms of CPU an answer"},
            "color": {
                "field": "part",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(PARTS.values()), "range": COLOURS},
            },
            "order": {"field": "order"},
        },
    }
    file.write_text(vl_convert.vegalite_to_svg(chart))
    return True
