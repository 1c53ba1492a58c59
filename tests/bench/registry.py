"""All that is measured of the ledger's writers and of what follows them, in one run.

    make bench-registry      (about five minutes; SIZES=0,10000 CLIENTS=1,32 SECONDS=4)

The largest size is also that of the sweep, the relay's Domain and the fleet. Figures of different
runs or machines do not compare: the machine's load is printed with each table, and what stands in
one table was measured within a minute.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from server.dev.stack import Stack
from tests.bench import heartbeats, registrations
from tests.bench.fleet_status import fleet_table
from tests.bench.rates import Rate, rates_table
from tests.bench.relay_lag import relay_table
from tests.bench.sweeps import sweeps_table

# One client asks as fast as it can.
NO_LIMITS = {"PLEXSPHERE_ENROLMENTS_PER_MINUTE": "0", "PLEXSPHERE_REGISTRATIONS_PER_MINUTE": "0"}
FOLDER = Path(__file__).resolve().parents[2] / ".dev" / "bench-registry"


def rates(sizes: Sequence[int], clients: Sequence[int], seconds: float) -> Iterator[Rate]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Stack(FOLDER, nodes=64, workers=2, env=NO_LIMITS) as stack:
        for number in clients:
            yield from registrations.measured(stack, number, sizes, seconds)
        for number in clients:
            yield from heartbeats.measured(stack, number, seconds)


def numbers(least: int, most: int) -> Callable[[str], list[int]]:
    """Of an option: integers between, with commas."""

    def read(text: str) -> list[int]:
        found = [int(part) for part in text.split(",")]
        if not all(least <= number <= most for number in found):
            raise argparse.ArgumentTypeError(f"from {least} to {most}")
        return found

    return read


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-registry")
    parser.add_argument("--sizes", type=numbers(0, 15_000), default="0,10000")  # of 20,000
    parser.add_argument("--clients", type=numbers(1, 64), default="1,32")
    parser.add_argument("--seconds", type=numbers(1, 60), default="4")
    options = parser.parse_args()
    largest = max(max(options.sizes), 100)
    console = Console(width=max(Console().width, 96))

    def show(*printed: object) -> None:
        load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
        console.print(*printed, f"load average {load} on {os.cpu_count()} cores\n", sep="\n")

    show(rates_table(rates(options.sizes, options.clients, options.seconds[0])))
    table, plan = sweeps_table(largest)
    show(table, *plan)
    show(relay_table(largest))
    show(fleet_table([largest]))


if __name__ == "__main__":
    main()
