"""The time of a sweep of the evaluator, in milliseconds, and its plan.

On an embedded Postgres of its own, the Nodes in ten Domains, through the evaluator's connection.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from uuid import UUID

from rich.table import Table

from db.bulk import TableRows, copy_rows
from db.migrate import migrate
from db.reachability import PostgresSweeps
from db.statements import statement
from tests.factories import key_bytes, node_id
from tests.integration.ledger_fixtures import own_postgres
from tests.integration.ledger_rows import Hand
from tests.integration.sweep_places import AS_EVERYWHERE
from tests.ports.deadlines import in_time

DOMAINS = 10
ROUNDS = 15
COLUMNS = ("id", "domain_id", "mesh_ip", "public_key", "last_heartbeat_at")


def rows(nodes: int, domains: list[UUID]) -> Iterator[tuple[object, ...]]:
    for number in range(nodes):
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
    """The way in which each table is read."""
    sql = re.sub(r"--[^\n]*", "", statement("evaluator_sweep"))
    with closing(hand.session()) as session, session.cursor() as used:
        used.execute(f"EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) {sql}", AS_EVERYWHERE)
        found = [str(line) for (line,) in used.fetchall()]
        session.rollback()
    return [line.strip(" ->") for line in found if " on nodes" in line or " on domains" in line]


def sweeps_table(nodes: int) -> tuple[Table, list[str]]:
    """The table and the plan."""
    with own_postgres() as postgres:
        dsn = postgres.fresh_database()
        migrate(dsn)
        with closing(Hand(dsn)) as hand, closing(PostgresSweeps(dsn, 5.0)) as sweeps:
            domains = [hand.domain() for _ in range(DOMAINS)]
            copy_rows(dsn, [TableRows("nodes", COLUMNS, rows(nodes, domains))])
            hand.run("ANALYZE plexsphere.nodes")
            sweeps.sweep(in_time())
            measured = kinds_of_sweep(hand, sweeps, nodes)
            return sweep_rows(nodes, measured), plan(hand)


def kinds_of_sweep(hand: Hand, sweeps: PostgresSweeps, nodes: int) -> dict[str, list[float]]:
    """The times of each."""
    everybody(hand, 0)
    sweeps.sweep(in_time())
    measured = {
        "nothing changes": times(sweeps, 0, lambda number: None),
        "all change": times(sweeps, nodes, lambda number: everybody(hand, number + 1)),
    }
    one_percent(hand, 1)
    sweeps.sweep(in_time())
    changing = hand.run(
        "SELECT count(*) FROM plexsphere.nodes WHERE hashtext(id::text) %% 100 = 0 AND %s", True
    )[0][0]
    measured["1 % changes"] = times(sweeps, changing, lambda number: one_percent(hand, number))
    return measured


def sweep_rows(nodes: int, measured: Mapping[str, Sequence[float]]) -> Table:
    table = Table(f"sweep of {nodes:,} Nodes, ms", "median", "fastest", "slowest")
    for name, taken in measured.items():
        cells = (statistics.median(taken), min(taken), max(taken))
        table.add_row(name, *(f"{cell:.1f}" for cell in cells))
    return table
