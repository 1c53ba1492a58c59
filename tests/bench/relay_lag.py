"""The lag of SpiceDB behind the ledger.

Rows written one by one under a running relay, a backlog that one drains, and `authz verify` and
`repair` at that many Nodes.
"""

from __future__ import annotations

import time
from uuid import uuid4

from rich.table import Table

from composer.identity import node_object
from server.dev.stack import Stack
from tests.ledger_sql import run_sql
from tests.outboxes import delete, own_tuple, touch, waiting, write_row
from tests.role_commands import command, relay_once
from tests.stacks import running_stack

ROWS = 1000
DRAINED_WITHIN_S = 60.0
LAG = """
SELECT percentile_disc(ARRAY[0.5, 0.99, 1]) WITHIN GROUP (
    ORDER BY extract(epoch FROM drained_at - created_at)::float8 * 1000)
FROM plexsphere.outbox WHERE drained_at IS NOT NULL
"""


def relay_table(nodes: int) -> Table:
    """On a stack of its own, with a relay."""
    table = Table("SpiceDB behind the ledger", "found")
    with running_stack("relay-lag", nodes=max(nodes, 1), relay=True) as stack:
        lag_of_rows(stack, 1)  # the relay has started when this ends
        run_sql(stack.dsn, "DELETE FROM plexsphere.outbox")
        table.add_row(f"{ROWS:,} rows, one by one, under a relay", lag_of_rows(stack))
        stack.parts["relay"].stop()
        table.add_row(f"a backlog of {ROWS:,} objects, drained", backlog(stack))
        for word in ("verify", "repair"):
            began = time.monotonic()
            result = command(stack, "authz", word)
            took = time.monotonic() - began
            found = f"{took:.2f} s, exit code {result.exit_code}"
            table.add_row(f"authz {word} at {nodes:,} Nodes", found)
    return table


def lag_of_rows(stack: Stack, rows: int = ROWS) -> str:
    for number in range(rows):
        node = stack.sample.node_id(number % stack.sample.nodes)
        write_row(stack.dsn, node_object(node), *touch(own_tuple(node)))
    until = time.monotonic() + DRAINED_WITHIN_S
    while waiting(stack.dsn):
        if time.monotonic() > until:
            return f"rows wait after {DRAINED_WITHIN_S:.0f} s"
        time.sleep(0.05)
    p50, p99, worst = run_sql(stack.dsn, LAG)[0][0]
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {worst:.0f} ms"


def backlog(stack: Stack) -> str:
    for _ in range(ROWS):
        node = uuid4()
        write_row(stack.dsn, node_object(node), *touch(own_tuple(node)))
        write_row(stack.dsn, node_object(node), *delete(own_tuple(node)))
    began = time.monotonic()
    result = relay_once(stack).output.strip()
    return f"{result} in {time.monotonic() - began:.2f} s"
