"""An audit sink with everything it reports, for the audit tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from uuid import UUID, uuid4

from composer.audit import AuditRow
from db.audit import PostgresAuditSink
from db.audit_batches import Batch, QueuedRow
from tests.integration.ledger_rows import Hand


def row(number: int, **fields: Any) -> AuditRow:
    """The ``number``-th outcome."""
    expected: dict[str, Any] = {
        "relation": "node_state.pull",
        "outcome": "granted",
        "subject": "user:ann",
        "object": f"node:{number % 3}",
        "correlation_id": f"c-{number}",
        "digest": "ab" * 32,
    }
    return AuditRow(**(expected | fields))


def batch_of(rows: Iterable[QueuedRow], number: int = 0, writer: UUID | None = None) -> Batch:
    """Of a writer of its own, and its only one; with ``number`` and ``writer`` a later one."""
    taken = tuple(rows)
    return Batch(writer or uuid4(), number or len(taken), taken)


def own_pull(node: UUID, digest: str, /, **fields: Any) -> AuditRow:
    """A Node's agent is granted its pull."""
    name = f"node:{node}"
    return row(1, **{"subject": name, "object": name, "digest": digest} | fields)


def emptied(dsn: str) -> str:
    """The same ledger, without audit rows."""
    with closing(Hand(dsn)) as hand:
        hand.run("DELETE FROM plexsphere.audit_rows")
    return dsn


@contextmanager
def refused_by_the_table(hand: Hand, condition: str) -> Iterator[None]:
    hand.run(
        f"ALTER TABLE plexsphere.audit_rows ADD CONSTRAINT only_some CHECK ({condition}) NOT VALID"
    )
    try:
        yield
    finally:
        hand.run("ALTER TABLE plexsphere.audit_rows DROP CONSTRAINT only_some")


class Watched:
    """A sink with everything it reports."""

    def __init__(self, dsn: str, **settings: Any) -> None:
        self.lost: list[tuple[int, str]] = []
        self.failed: list[Exception] = []
        self.parked: list[AuditRow] = []
        self.dsn = dsn
        self.sink = PostgresAuditSink(
            dsn,
            on_lost=lambda rows, reason: self.lost.append((rows, reason)),
            on_failed=self.failed.append,
            on_parked=self.parked.append,
            **{"capacity": 20_000, **settings},
        )

    def kept(self) -> list[str]:
        """The correlation ids in the ledger, in sequence."""
        with closing(Hand(self.dsn)) as hand:
            found = hand.run("SELECT correlation_id FROM plexsphere.audit_rows ORDER BY seq")
        return [row[0] for row in found]

    def record(self, numbers: range) -> list[str]:
        for number in numbers:
            self.sink.record(row(number))
        return [f"c-{number}" for number in numbers]
