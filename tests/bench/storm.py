"""A herd of first pulls of one Domain, at once, at a service that has just started.

make bench-storm        (NODES=10000)
"""

from __future__ import annotations

import argparse
import json

from tests.bench.figures import load_average
from tests.bench.neighbours import storm
from tests.bench.served import ROOT, Served, tree_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-storm")
    parser.add_argument("--nodes", type=int, default=10_000)
    options = parser.parse_args()
    before = load_average()
    with Served(tree_of(None), options.nodes) as served:
        found = storm(served, options.nodes)
        found["worker_mb"] = round(served.worker_bytes() / 1e6)
    print(json.dumps({"nodes": options.nodes, **found, "load": [before, load_average()]}, indent=1))
    (ROOT / ".dev" / "bench-storm.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
