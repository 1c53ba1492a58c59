"""Registrations and heartbeats a second over HTTP, beside the floor; 1 and 32 clients.

    .venv/bin/python -m tests.bench.registrations          (under three minutes)

The floor is GET /v1/version of the same server by the same clients, which share its cores: ratios
of one run compare, figures of two do not. A registration's answer carries the Domain's peers, so at
10,000 Nodes it is a megabyte and more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer
from tests.heartbeats import OPERATION, heartbeat_path
from tests.ledger_sql import run_sql

FOLDER = Path(__file__).resolve().parents[2] / ".dev" / "bench-registrations"
SECONDS = 5.0
CLIENTS = (1, 32)
SIZES = (0, 10_000)
FILL = (
    "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key)"
    " SELECT gen_random_uuid(), d.id, host(network(d.mesh_cidr))::inet + n, sha256(int8send(n))"
    " FROM plexsphere.domains AS d, generate_series(1, %s) AS n WHERE d.id = %s"
)


def rate(send: Callable[[int], Reply], expected: int, clients: int) -> float:
    """Answers a second to ``send(client)``; one of another status ends the bench."""
    until = time.monotonic() + SECONDS

    def repeat(client: int) -> int:
        made = 0
        while time.monotonic() < until:
            reply = send(client)
            if reply.status != expected:
                raise SystemExit(f"{reply.status}: {reply.body[:300]!r}")
            made += 1
        return made

    started = time.monotonic()
    with ThreadPoolExecutor(clients) as threads:
        made = sum(threads.map(repeat, range(clients)))
    return made / (time.monotonic() - started)


def registering(stack: Stack, nodes: int) -> Callable[[int], Reply]:
    """In a Domain that has as many Nodes."""
    domain_id = scratch.domain(stack)
    run_sql(stack.dsn, FILL, (nodes, domain_id))
    headers = {**JSON, **bearer(stack.token(OPERATOR))}
    path = f"/v1/domains/{domain_id}/nodes"

    def send(client: int) -> Reply:
        body = body_now("RegisterNode")
        return ask(stack.url, path, headers, method="POST", body=body)

    send(0)  # past what only the first one costs
    return send


def beating(stack: Stack) -> Callable[[int], Reply]:
    """Each client is a Node of its own."""
    nodes = [str(stack.sample.node_id(number)) for number in range(max(CLIENTS))]
    agents = [{**JSON, **bearer(stack.token(f"node:{node}"))} for node in nodes]

    def send(client: int) -> Reply:
        path = heartbeat_path(nodes[client])
        return ask(stack.url, path, agents[client], method="POST", body=body_now(OPERATION))

    return send


def measured(stack: Stack) -> Iterator[tuple[str, int, float, float]]:
    """What, how many clients, how many a second, and the floor of as many clients."""
    for clients in CLIENTS:
        floor = rate(lambda client: ask(stack.url, "/v1/version"), 200, clients)
        yield "floor", clients, floor, floor
        yield "heartbeat", clients, rate(beating(stack), 200, clients), floor
        for nodes in SIZES:
            found = rate(registering(stack, nodes), 201, clients)
            yield f"registration at {nodes:,} Nodes", clients, found, floor


def main() -> None:
    """Print the table, and how busy the machine was."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = Table("what", "clients", "a second", "of the floor")
    with Stack(FOLDER, nodes=64, workers=2) as stack:
        for what, clients, found, floor in measured(stack):
            table.add_row(what, str(clients), f"{found:,.1f}", f"{found / floor:.2f}")
    console = Console()
    console.print(table)
    console.print("load average " + " ".join(f"{one:.1f}" for one in os.getloadavg()))


if __name__ == "__main__":
    main()
