"""Pulls for a long time while Nodes change: does the service become slower, larger or wrong?

    make bench-soak         (MINUTES=60 PULLS=0 NODES=1000)

A line a minute, and the memory at the end; with PULLS it ends once there were so many. It ends with
an error where the last minutes need a tenth more memory or half as much CPU again as the first
ones, or where an answer was not 200.
"""

from __future__ import annotations

import argparse
import json
import statistics

from tests.bench.changes import changing
from tests.bench.figures import Cost, load_average, of_service
from tests.bench.rows import PULL, pulls
from tests.bench.served import ROOT, Served, tree_of

CHANGES_PER_SECOND = 1
ROUND_SECONDS = 20  # of each minute's three rounds
MOST_MEMORY, MOST_CPU = 1.1, 1.5


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-soak")
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--pulls", type=int, default=0)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    minutes: list[dict[str, float]] = []
    with Served(tree_of(None), options.nodes) as served:
        subject = of_service(served, "soak", pulls(served, range(options.nodes)), PULL)
        subject.warm(10, options.connections)
        with changing(served, CHANGES_PER_SECOND):
            for minute in range(1, options.minutes + 1):
                costs = [subject.cost(ROUND_SECONDS, options.connections) for _ in range(3)]
                minutes.append(of_minute(costs, served.worker_bytes()))
                print(json.dumps({"minute": minute, **minutes[-1]}), flush=True)
                if 0 < options.pulls <= answered(minutes):
                    break
    memory = [minute["worker_mb"] for minute in minutes]
    print(f"{answered(minutes):,.0f} pulls; a worker had {memory[0]} MB after the first minute,")
    print(f"{max(memory)} MB at most and {memory[-1]} MB at the end")
    (ROOT / ".dev" / "bench-soak.json").write_text(json.dumps(minutes))
    complaints = faults(minutes)
    raise SystemExit("\n".join(complaints) if complaints else 0)


def of_minute(costs: list[Cost], memory: int) -> dict[str, float]:
    return {
        "answers": sum(cost.measured.answers for cost in costs),
        "right": min(cost.right for cost in costs),
        "refused": sum(cost.measured.refused + cost.measured.broken for cost in costs),
        "worker_ms": round(statistics.median(cost.worker for cost in costs), 3),
        "p99_ms": round(max(cost.measured.p99_ms for cost in costs), 1),
        "worker_mb": round(memory / 1e6, 1),
        "load": load_average()[0],
    }


def answered(minutes: list[dict[str, float]]) -> float:
    return sum(minute["answers"] for minute in minutes)


def faults(minutes: list[dict[str, float]]) -> list[str]:
    """The complaints about the last third of the minutes, beside the first."""
    third = max(len(minutes) // 3, 1)
    first, last = minutes[:third], minutes[-third:]

    def growth(name: str) -> float:
        before = statistics.median(minute[name] for minute in first)
        return statistics.median(minute[name] for minute in last) / before

    found = []
    if any(minute["refused"] or minute["right"] < 1 for minute in minutes):
        found.append("an answer was not 200")
    if (memory := growth("worker_mb")) > MOST_MEMORY:
        found.append(f"memory has grown to {memory:.2f} of what it was")
    if (cpu := growth("worker_ms")) > MOST_CPU:
        found.append(f"a pull costs {cpu:.2f} of what it did")
    return found


if __name__ == "__main__":
    main()
