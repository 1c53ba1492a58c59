"""Random faults for a long time: the answers stay right, and the service does not grow.

    make soak             (MINUTES=60 SEED=1)

Memory, descriptors and threads of the service's worker are read every second between the faults.
.dev/soak.svg shows them. Exit code 1 where a cell is not as it must be, or where the last third of
the run has more of anything than the first third after the start.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import vl_convert

from tests.faults import cells
from tests.faults.__main__ import line
from tests.faults.cell import run
from tests.faults.seen import Cell
from tests.faults.world import ROOT, world

PLOT = ROOT / ".dev" / "soak.svg"
OUT = ROOT / ".dev" / "soak.json"
WARM_UP = 0.2  # of the run: caches and pools fill
# Of the median of the first third behind the warm-up.
MOST = {"memory_mb": 1.1, "descriptors": 1.25, "threads": 1.25}
# It would end the run's primary.
ENDS = {("Postgres", "failed over")}


@dataclass(frozen=True, slots=True)
class Level:
    """Of all processes of the service, at ``at`` seconds."""

    at: float
    memory_mb: float
    descriptors: int
    threads: int


class Levels:
    """Reads the levels every second until ``stop``."""

    def __init__(self, master: int) -> None:
        self.found: list[Level] = []
        self._master = master
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> list[Level]:
        self._stop.set()
        self._thread.join(5)
        return self.found

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            try:
                self.found.append(level(self._master, time.monotonic() - self._began))
            except (OSError, KeyError):  # a worker ended, or has ended, while it was read
                continue


def level(master: int, at: float) -> Level:
    """The sum over the master and its workers."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    memory = descriptors = threads = 0
    for process in (str(master), *children):
        status = dict(
            entry.split(":", 1)
            for entry in Path(f"/proc/{process}/status").read_text().splitlines()
        )
        memory += int(status["VmRSS"].split()[0])
        threads += int(status["Threads"])
        descriptors += len(list(Path(f"/proc/{process}/fd").iterdir()))
    return Level(at, memory / 1024, descriptors, threads)


def growth(levels: list[Level]) -> dict[str, float]:
    """The median of the last third beside that of the first third behind the warm-up."""
    warm = levels[int(len(levels) * WARM_UP) :]
    third = max(1, len(warm) // 3)
    return {
        name: median(getattr(found, name) for found in warm[-third:])
        / median(getattr(found, name) for found in warm[:third])
        for name in MOST
    }


def draw(levels: list[Level], title: str) -> None:
    """Three charts, one below the other."""
    values = [asdict(found) for found in levels]
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": title,
        "background": "white",
        "data": {"values": values},
        "vconcat": [
            {
                "width": 900,
                "height": 140,
                "mark": "line",
                "encoding": {
                    "x": {"field": "at", "type": "quantitative", "title": "seconds"},
                    "y": {"field": name, "type": "quantitative", "title": name.replace("_", " ")},
                },
            }
            for name in MOST
        ],
    }
    PLOT.write_text(vl_convert.vegalite_to_svg(chart))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    chosen = random.Random(options.seed)
    pairs = [
        (dependency, fault, how)
        for dependency in cells.DEPENDENCIES
        for fault in cells.FAULTS
        if isinstance(how := cells.broken(dependency, fault), cells.Broken)
        and (dependency, fault) not in ENDS
    ]
    bad: list[Cell] = []
    print(f"SEED={options.seed}", flush=True)
    with world("soak") as running:
        levels = Levels(running.service.pid)
        until, done = time.monotonic() + 60 * options.minutes, 0
        while time.monotonic() < until:
            dependency, fault, how = chosen.choice(pairs)
            cell = run(running, dependency, fault, how, chosen.uniform(0.5, 4.0))
            done += 1
            if not cell.is_good:
                bad.append(cell)
            line(cell)
        found = levels.stop()
    title = f"{done} random faults in {options.minutes:g} minutes, seed {options.seed}"
    draw(found, title)
    grown = growth(found)
    summary = {
        "seed": options.seed,
        "faults": done,
        "bad": [cell.as_json() for cell in bad],
        "growth": grown,
        "first": asdict(found[0]),
        "last": asdict(found[-1]),
    }
    OUT.write_text(json.dumps(summary, indent=1))
    print(f"{title}: {len(bad)} bad; growth {grown}; {PLOT.relative_to(ROOT)}")
    if bad or any(grown[name] > most for name, most in MOST.items()):
        sys.exit(1)


if __name__ == "__main__":
    main()
