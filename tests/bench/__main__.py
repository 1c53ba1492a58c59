"""The pull beside its floor and beside the naive way, in one run on one machine.

    make bench            (SECONDS=4 CONNECTIONS=16 SIZES=64,1000,10000)

The floor is an operation of the same server with a constant body: same HTTP server, same
routing, same response validation, nothing behind it. Figures of different runs or machines do not
compare; ratios of one run do. Heartbeats come from as many Nodes as there are connections, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from server.dev.stack import Stack
from tests.bench import NAIVE
from tests.bench.load import Measured, Request, load
from tests.bodies import JSON, body_now
from tests.client import ask, bearer, pull_path
from tests.heartbeats import OPERATION, heartbeat_path
from tests.stacks import another_build

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2


def measured(nodes: int, seconds: int, connections: int) -> Iterator[tuple[str, Measured]]:
    """What is measured of one Domain size, floor first."""
    folder = ROOT / ".dev" / "bench" / str(nodes)
    with Stack(folder, nodes=nodes, workers=WORKERS) as stack:
        pull = pull_path(stack.node_id)
        etag = ask(stack.url, pull, stack.headers).headers["etag"]
        held = stack.headers | {"If-None-Match": etag}
        with another_build(stack, "naive", NAIVE, {}) as naive_url:
            for name, requests in (
                ("floor", [Request(f"{stack.url}/v1/version")]),
                ("pull", [Request(stack.url + pull, stack.headers)]),
                ("pull, 304", [Request(stack.url + pull, held)]),
                ("heartbeat", heartbeats(stack, min(connections, nodes))),
                ("naive pull", [Request(naive_url + pull)]),
            ):
                load(requests, 1, connections)  # warm
                yield name, load(requests, seconds, connections)


def heartbeats(stack: Stack, count: int) -> list[Request]:
    """One of each of the first Nodes, by its own agent, as of now."""
    body = (body_now(OPERATION) or b"").decode()
    return [
        Request(
            stack.url + heartbeat_path(node),
            JSON | bearer(stack.token(f"node:{node}")),
            body,
        )
        for node in map(stack.sample.node_id, range(count))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--sizes", default="64,1000,10000")
    options = parser.parse_args()
    table = Table("Nodes", "what", "requests/s", "of the floor", "p99 ms", "refused")
    rows: list[dict[str, object]] = []
    for nodes in map(int, options.sizes.split(",")):
        floor = 0.0
        for name, found in measured(nodes, options.seconds, options.connections):
            floor = floor or found.per_second
            share = found.per_second / floor
            rows.append(
                {
                    "nodes": nodes,
                    "what": name,
                    "per_second": round(found.per_second, 1),
                    "of_floor": round(share, 3),
                    "p99_ms": round(found.p99_ms, 2),
                    "refused": found.refused,
                    "tool": found.tool,
                }
            )
            table.add_row(
                str(nodes),
                name,
                f"{found.per_second:,.0f}",
                f"{share:.2f}",
                f"{found.p99_ms:.1f}",
                str(found.refused),
            )
    out = ROOT / ".dev" / "bench.json"
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "workers": WORKERS}
    out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))
    Console().print(table)
    Console().print(f"written to {out.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
