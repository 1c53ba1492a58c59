"""How long a sweep of the evaluator takes: ``python -m tests.bench.sweeps`` (milliseconds).

On an embedded Postgres of its own, 10,000 Nodes in ten Domains, through the evaluator's connection.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from uuid import UUID

from rich.console import Console
from rich.table import Table

from db.bulk import TableRows, copy_rows
from db.migrate import migrate
from db.statements import statement
from db.sweeps import PostgresSweeps
from tests.factories import key_bytes, node_id
from tests.integration.ledger_fixtures import own_postgres
from tests.integration.ledger_rows import Hand
from tests.integration.sweep_places import AS_EVERYWHERE
from tests.ports.deadlines import in_time

NODES = 10_000
DOMAINS = 10
ROUNDS = 15
COLUMNS = ("id", "domain_id", "mesh_ip", "public_key", "last_heartbeat_at")


def rows(domains: list[UUID]) -> Iterator[tuple[object, ...]]:
    for number in range(NODES):
        yield (
            UUID(int=node_id(1).int + number),
            domains[number % DOMAINS],
            f"10.{number // 65536}.{number // 256 % 256}.{number % 256}",
            key_bytes(number + 1),
            "2026-01-01T00:00:00Z",
        )


def times(sweeps: PostgresSweeps, expected: int, before: Callable[[int], object]) -> list[float]:
    """Of ROUNDS sweeps that each change ``expected`` Nodes."""
    taken = []
    for number in range(ROUNDS):
        before(number)
        began = time.perf_counter()
        swept = sweeps.sweep(in_time())
        taken.append((time.perf_counter() - began) * 1000)
        assert swept is not None and swept.nodes == expected, swept
    return taken


def everybody(hand: Hand, number: int) -> None:
    """All heard now, or all silent for an hour."""
    hand.run(
        "UPDATE plexsphere.nodes SET last_heartbeat_at = now() - %s::interval",
        "1 h" if number % 2 else "0",
    )


def one_percent(hand: Hand, number: int) -> None:
    """Every hundredth, while the others go on being heard."""
    hand.run("UPDATE plexsphere.nodes SET last_heartbeat_at = now()")
    hand.run(
        "UPDATE plexsphere.nodes SET last_heartbeat_at = now() - %s::interval"
        " WHERE hashtext(id::text) %% 100 = 0",
        "0" if number % 2 else "1 h",
    )


def plan(hand: Hand) -> list[str]:
    """How each table is read."""
    sql = re.sub(r"--[^\n]*", "", statement("evaluator_sweep"))
    with closing(hand.session()) as session, session.cursor() as used:
        used.execute(f"EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) {sql}", AS_EVERYWHERE)
        found = [str(line) for (line,) in used.fetchall()]
        session.rollback()
    return [line.strip(" ->") for line in found if " on nodes" in line or " on domains" in line]


def main() -> None:
    """Print the table and the plan."""
    table = Table("sweep of 10,000 Nodes", "median", "fastest", "slowest")
    with own_postgres() as postgres:
        dsn = postgres.fresh_database()
        migrate(dsn)
        with closing(Hand(dsn)) as hand, closing(PostgresSweeps(dsn, 5.0)) as sweeps:
            copy_rows(dsn, [TableRows("nodes", COLUMNS, rows([hand.domain() for _ in range(10)]))])
            hand.run("ANALYZE plexsphere.nodes")
            sweeps.sweep(in_time())
            hundredth = hand.run(
                "SELECT count(*) FROM plexsphere.nodes WHERE hashtext(id::text) %% 100 = 0"
                " AND %s", True
            )[0][0]  # fmt: skip
            everybody(hand, 0)
            sweeps.sweep(in_time())
            measured = {
                "nothing changes": times(sweeps, 0, lambda number: None),
                "all change": times(sweeps, NODES, lambda number: everybody(hand, number + 1)),
            }
            one_percent(hand, 1)
            sweeps.sweep(in_time())
            measured["1 % changes"] = times(
                sweeps, hundredth, lambda number: one_percent(hand, number)
            )
            read = plan(hand)
    for name, taken in measured.items():
        cells = (statistics.median(taken), min(taken), max(taken))
        table.add_row(name, *(f"{one:.1f}" for one in cells))
    console = Console()
    console.print(table)
    console.print("\n".join(read))


if __name__ == "__main__":
    main()
