"""Registrations a second over HTTP: 1 and 32 clients, with 0 and 10,000 Nodes in the Domain.

    .venv/bin/python -m tests.bench.registrations

Each answer carries the Domain's peers, so at 10,000 Nodes it is a megabyte and more.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import ask, bearer
from tests.ledger_sql import run_sql

FOLDER = Path(__file__).resolve().parents[2] / ".dev" / "bench-registrations"
SECONDS = 5.0
FILL = (
    "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key)"
    " SELECT gen_random_uuid(), d.id, host(network(d.mesh_cidr))::inet + n, sha256(int8send(n))"
    " FROM plexsphere.domains AS d, generate_series(1, 10000) AS n WHERE d.id = %s"
)


def rate(stack: Stack, domain_id: str, clients: int) -> float:
    """Of 201s; any other answer ends the bench."""
    headers = {**JSON, **bearer(stack.token(OPERATOR))}
    until = time.monotonic() + SECONDS

    def register(_: int) -> int:
        made = 0
        while time.monotonic() < until:
            body = body_now("RegisterNode")
            path = f"/v1/domains/{domain_id}/nodes"
            reply = ask(stack.url, path, headers, method="POST", body=body)
            if reply.status != 201:
                raise SystemExit(f"{reply.status}: {reply.body[:300]!r}")
            made += 1
        return made

    started = time.monotonic()
    with ThreadPoolExecutor(clients) as threads:
        made = sum(threads.map(register, range(clients)))
    return made / (time.monotonic() - started)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Stack(FOLDER, nodes=16, workers=2) as stack:
        for nodes in (0, 10_000):
            for clients in (1, 32):
                domain_id = scratch.domain(stack)
                if nodes:
                    run_sql(stack.dsn, FILL, (domain_id,))
                    scratch.post(stack, f"/v1/domains/{domain_id}/nodes", "RegisterNode")
                found = rate(stack, domain_id, clients)
                print(f"{nodes:>6} Nodes, {clients:>2} clients: {found:7.1f} registrations/s")


if __name__ == "__main__":
    main()
