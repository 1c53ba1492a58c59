"""The time of the snapshot's statement, and the bytes it sends: ``python -m tests.ledger_bench``.

On an embedded Postgres of its own; medians, in milliseconds.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from uuid import UUID

from rich.console import Console
from rich.table import Table

from composer.deadline import Deadline
from composer.snapshot_composer import LedgerView
from db.bulk import TableRows, copy_rows
from db.connections import ReadSession, Session
from db.ledger import SNAPSHOT_FOR_NODE, PostgresLedger
from db.migrate import migrate
from db.nodes import PostgresNodeRepo
from db.pool import Pool, read_pool
from tests.factories import ALLOW_HTTPS, key_bytes, node_id, rule_set
from tests.integration.ledger_fixtures import own_postgres
from tests.integration.ledger_rows import Hand

SIZES = (64, 1_000, 10_000)


class Subject:
    """A Domain of ``size`` Nodes, the first with two rule sets and six entries."""

    def __init__(self, dsn: str, size: int) -> None:
        self.size = size
        self.dsn = dsn
        self.node = UUID(int=node_id(1).int + size * 100_000)
        with closing(Hand(dsn)) as hand:
            self.domain = hand.domain()
            copy_rows(dsn, [TableRows("nodes", NODE_COLUMNS, self._nodes())])
            for number in (1, 2):
                rules = rule_set(number, *[ALLOW_HTTPS] * 4)
                hand.insert(
                    "policy_compiled_ruleset",
                    node_id=self.node,
                    policy_id=rules.policy_id,
                    revision_id=rules.revision_id,
                    rule_payload=rules.rule_payload,
                    fingerprint=rules.fingerprint,
                )
            for kind in ("metadata", "data", "report"):
                for key in ("one", "two"):
                    hand.insert(
                        "node_state_entries", node_id=self.node, kind=kind, key=key, value="ok"
                    )
            hand.run("ANALYZE plexsphere.nodes")

    def _nodes(self) -> list[tuple[object, ...]]:
        return [
            (
                UUID(int=self.node.int + number),
                self.domain,
                f"10.42.{number // 256}.{number % 256}",
                key_bytes(number),
            )
            for number in range(self.size)
        ]

    def rekey(self, number: int) -> None:
        with closing(Hand(self.dsn)) as hand:
            hand.run(
                "UPDATE plexsphere.nodes SET public_key = %s WHERE id = %s",
                key_bytes(number),
                UUID(int=self.node.int + 1),
            )


NODE_COLUMNS = ("id", "domain_id", "mesh_ip", "public_key")


def soon() -> Deadline:
    return Deadline.after(30.0, time.monotonic)


def milliseconds(
    work: Callable[[], object], rounds: int, before: Callable[[int], object] = lambda number: None
) -> float:
    taken = []
    for number in range(rounds):
        before(number)
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def statement(session: Session, subject: Subject, held: str | None) -> tuple[float, int]:
    """Its time on a connection that knows it, and the bytes of its one row."""
    arguments = {
        "node_id": str(subject.node),
        "cached_revision": held,
    }
    (row,) = session.execute(SNAPSHOT_FOR_NODE, arguments)
    took = milliseconds(lambda: session.execute(SNAPSHOT_FOR_NODE, arguments), 300 if held else 40)
    return took, sum(len(column.encode()) for column in row if column)


def indexes(session: Session, subject: Subject) -> list[str]:
    """The indexes of the plan that is used."""
    sql = "EXPLAIN (COSTS OFF) " + SNAPSHOT_FOR_NODE.execute
    arguments = {"node_id": str(subject.node), "cached_revision": None}
    plan = "\n".join(row[0] for row in session.run(sql, arguments))
    return sorted(set(re.findall(r"Index(?: Only)? Scan (?:using|on) (\w+)", plan)))


def measured(pool: Pool[ReadSession], subject: Subject) -> list[str]:
    """One line of the table."""
    ledger = PostgresLedger(pool, cached_rows=200_000)

    def view() -> LedgerView:
        return ledger.view(subject.node, subject.domain, soon())

    cold = milliseconds(
        lambda: PostgresLedger(pool, cached_rows=200_000).view(
            subject.node, subject.domain, soon()
        ),
        5,
    )
    held = str(view().peers().revision)
    with pool.session(soon()) as session:
        with_held, small = statement(session, subject, held)
        without, large = statement(session, subject, None)
    times = (
        with_held,
        without,
        milliseconds(view, 300),
        milliseconds(view, 10, subject.rekey),
        cold,
    )
    return [f"{subject.size:,}", *(f"{figure:.2f}" for figure in times), f"{small:,}", f"{large:,}"]


def main() -> None:
    """Print the tables."""
    console = Console()
    table = Table(
        "Nodes",
        "statement, revision held",
        "statement, not held",
        "view, held",
        "view, one row changed",
        "view, first",
        "bytes held",
        "bytes not held",
    )
    with own_postgres() as postgres:
        dsn = postgres.fresh_database()
        migrate(dsn)
        pool = read_pool(dsn, 1, 30.0)
        subjects = [Subject(dsn, size) for size in SIZES]
        for subject in subjects:
            table.add_row(*measured(pool, subject))
        with pool.session(soon()) as session:
            used = indexes(session, subjects[-1])
            ping = milliseconds(lambda: session.run("SELECT 1"), 1000)
        repo = PostgresNodeRepo(pool)
        lookup = milliseconds(lambda: repo.get_by_id(subjects[0].node, soon()), 1000)
        pool.close()
    console.print(table)
    console.print(f"gate 3's lookup {lookup:.3f}, a ping {ping:.3f}")
    console.print("indexes: " + ", ".join(used))


if __name__ == "__main__":
    main()
