"""How far SpiceDB is behind the ledger: python -m tests.bench.relay_lag [--nodes 10000]

Rows written one by one under a running relay, a backlog that one drains, and `authz verify` and
`repair` at that many Nodes.
"""

from __future__ import annotations

import argparse
import time
from uuid import uuid4

from composer.identity import node_object
from server.dev.stack import Stack
from tests.ledger_sql import run_sql
from tests.outboxes import delete, own_tuple, touch, waiting, write_row
from tests.role_commands import command, relay_once
from tests.stacks import running_stack

ROWS = 1000
LAG = """
SELECT percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
    ORDER BY extract(epoch FROM drained_at - created_at)::float8 * 1000)
FROM plexsphere.outbox WHERE drained_at IS NOT NULL
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=10_000)
    nodes = parser.parse_args().nodes
    with running_stack("relay-lag", nodes=nodes, relay=True) as stack:
        lag_of_rows(stack, 1)  # the relay has started when this ends
        run_sql(stack.dsn, "DELETE FROM plexsphere.outbox")
        print(f"{ROWS} rows, one by one, under a relay: {lag_of_rows(stack)}")
        stack.parts["relay"].stop()
        print(f"a backlog of {ROWS} objects, drained: {backlog(stack)}")
        for word in ("verify", "repair"):
            began = time.monotonic()
            said = command(stack, "authz", word)
            seconds = time.monotonic() - began
            print(f"authz {word} at {nodes} Nodes: {seconds:.2f} s, exit code {said.exit_code}")


def lag_of_rows(stack: Stack, rows: int = ROWS) -> str:
    for number in range(rows):
        node = stack.sample.node_id(number % stack.sample.nodes)
        write_row(stack.dsn, node_object(node), *touch(own_tuple(node)))
    while waiting(stack.dsn):
        time.sleep(0.05)
    p50, p99, worst = run_sql(stack.dsn, LAG)[0][0]
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {worst:.0f} ms"


def backlog(stack: Stack) -> str:
    for _ in range(ROWS):
        node = uuid4()
        write_row(stack.dsn, node_object(node), *touch(own_tuple(node)))
        write_row(stack.dsn, node_object(node), *delete(own_tuple(node)))
    began = time.monotonic()
    said = relay_once(stack).output.strip()
    return f"{said} in {time.monotonic() - began:.2f} s"


if __name__ == "__main__":
    main()
