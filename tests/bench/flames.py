"""Flame graphs of a worker under full pulls, by py-spy: only samples that hold the interpreter.

make bench-flames       (SIZES=64,10000 SECONDS=30)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from pathlib import Path

from tests.bench.load import load
from tests.bench.rows import pulls
from tests.bench.served import ROOT, Served, tree_of

PICTURES = ROOT / "docs" / "pictures"
# The worker is not stopped for a sample, so that one in ten cannot be read and is left out.
SAMPLES_PER_SECOND = 400


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-flames")
    parser.add_argument("--sizes", default="64,10000")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    tree = tree_of(None)
    for nodes in map(int, options.sizes.split(",")):
        with Served(tree, nodes) as served:
            requests = pulls(served, range(min(nodes, 1_000)))
            load(served.url, requests, 4, options.connections)
            seconds = options.seconds + 5
            arguments = (served.url, requests, seconds, options.connections)
            under_load = threading.Thread(target=load, args=arguments)
            under_load.start()
            draw(served.workers[0], options.seconds, PICTURES / f"flame-{nodes}.svg")
            under_load.join()


def draw(pid: int, seconds: int, file: Path) -> None:
    sampler = Path(sys.executable).with_name("py-spy")
    command = [
        str(sampler),
        "record",
        "--gil",
        "--nonblocking",
        "--pid",
        str(pid),
        "--duration",
        str(seconds),
    ]
    command += ["--rate", str(SAMPLES_PER_SECOND), "--format", "flamegraph", "--output", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    # places in this clone and its virtualenv mean nothing to a reader
    text = file.read_text()
    for place in (str(ROOT / ".dev" / "bench" / "now") + "/", str(Path(sys.prefix)) + "/"):
        text = text.replace(place, "")
    file.write_text(text)


if __name__ == "__main__":
    main()
