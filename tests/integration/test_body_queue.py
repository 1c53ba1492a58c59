"""Served bodies on their way to the ledger: bounded, and in nobody's way when it is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from db.history import BATCH, BodyQueue
from tests.integration.ledger_audit import Watched, row
from tests.integration.ledger_rows import Hand

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import OwnPostgres

pytest_plugins = "tests.integration.ledger_fixtures"

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32


class Keeping(Watched):
    """A sink with a queue of bodies, and everything both report."""

    def __init__(self, dsn: str, **settings: Any) -> None:
        self.bodies_lost: list[tuple[int, str]] = []
        self.bodies = BodyQueue(
            3, on_lost=lambda count, reason: self.bodies_lost.append((count, reason)), **settings
        )
        super().__init__(dsn, bodies=self.bodies)

    def serve(self, node: UUID, digest: str, body: bytes) -> None:
        """As a pull does."""
        self.bodies.keep(f"node:{node}", digest, body)
        self.sink.record(row(1, object=f"node:{node}", digest=digest))


def kept_of(hand: Hand, node: UUID) -> list[tuple[Any, ...]]:
    return hand.run(
        "SELECT digest, bytes, body IS NULL FROM plexsphere.node_bodies"
        " WHERE node_id = %s ORDER BY served_at",
        node,
    )


def test_workers_that_keep_bodies_of_the_same_nodes_never_fail_each_other(
    ledger_dsn: str, hand: Hand
) -> None:
    domain = hand.domain()
    nodes = [hand.node(domain, number) for number in range(1, 21)]
    workers = [Keeping(ledger_dsn) for _ in range(4)]

    def serve(index: int) -> bool:
        for turn in range(10):
            for node in nodes[:: 1 if (index + turn) % 2 else -1]:
                workers[index].serve(node, f"{turn:064}", b"x" * 100)
        return workers[index].sink.flush(30.0)

    with ThreadPoolExecutor(len(workers)) as threads:
        assert list(threads.map(serve, range(len(workers)))) == [True] * len(workers)
    for worker in workers:
        worker.sink.close(5.0)
    assert [worker.failed + worker.lost + worker.bodies_lost for worker in workers] == [[]] * len(
        workers
    )
    found = hand.run(
        "SELECT node_id::text, count(*) FROM plexsphere.node_bodies"
        " WHERE node_id = ANY (%s::uuid[]) GROUP BY node_id",
        [str(node) for node in nodes],
    )
    assert dict(found) == {str(node): 3 for node in nodes}


def test_a_body_that_is_too_large_is_named_and_not_kept(ledger_dsn: str, hand: Hand) -> None:
    node = hand.node(hand.domain())
    keeping = Keeping(ledger_dsn, largest=100)
    keeping.serve(node, A, b"x" * 100)
    keeping.serve(node, B, b"x" * 101)
    assert keeping.sink.flush(10.0)
    keeping.sink.close(1.0)
    assert kept_of(hand, node) == [(A, 100, False), (B, 101, True)]


def test_more_than_one_statement_takes_is_written_all_the_same(ledger_dsn: str, hand: Hand) -> None:
    node = hand.node(hand.domain())
    keeping = Keeping(ledger_dsn, largest=BATCH)
    size = BATCH // 2
    for digest in (A, B, C):
        keeping.serve(node, digest, digest.encode() * (size // 64))
    assert keeping.sink.flush(20.0)
    keeping.sink.close(1.0)
    assert {row[0] for row in kept_of(hand, node)} == {A, B, C}
    assert keeping.bodies_lost == []


def test_what_does_not_fit_is_lost_and_counted_and_memory_is_bounded() -> None:
    lost: list[tuple[int, str]] = []
    queue = BodyQueue(3, on_lost=lambda *told: lost.append(told), capacity=20_000)
    node = f"node:{uuid4()}"
    for number in range(10):
        queue.keep(node, f"{number:064}", b"x" * 4_000)
    assert len(queue.take()) == 3  # of 4,000 bytes and what each costs beside them
    assert lost == []
    queue.close()
    assert lost == [(7, "queue_full")]


def test_what_waits_already_takes_no_more_room() -> None:
    lost: list[tuple[int, str]] = []
    queue = BodyQueue(3, on_lost=lambda *told: lost.append(told), capacity=20_000)
    node = f"node:{uuid4()}"
    for _ in range(100):
        queue.keep(node, A, b"x" * 4_000)
    batch = queue.take()
    queue.done(batch)
    assert ([body.digest for body in batch], lost) == ([A], [])


def test_room_is_free_again_once_a_batch_is_done() -> None:
    lost: list[tuple[int, str]] = []
    queue = BodyQueue(3, on_lost=lambda *told: lost.append(told), capacity=10_000)
    for number in range(20):
        queue.keep(f"node:{uuid4()}", f"{number:064}", b"x" * 4_000)
        queue.done(queue.take())
    assert lost == []


def test_without_a_queue_nothing_is_kept(ledger_dsn: str, hand: Hand) -> None:
    node = hand.node(hand.domain())
    watched = Watched(ledger_dsn)
    watched.sink.record(row(1, object=f"node:{node}", digest=A))
    assert watched.sink.flush(10.0)
    watched.sink.close(1.0)
    assert kept_of(hand, node) == []


# ---- while the ledger is away --------------------------------------------------------------------


@pytest.fixture
def breakable(breakable_postgres: OwnPostgres) -> Iterator[Keeping]:
    dsn = breakable_postgres.migrated_database()
    made = Keeping(dsn, capacity=200_000)
    yield made
    breakable_postgres.part.thaw()
    made.sink.close(0.0)


def test_a_frozen_ledger_neither_delays_a_pull_nor_fills_the_memory(
    breakable: Keeping, breakable_postgres: OwnPostgres
) -> None:
    """Nothing that a pull calls waits: it is done while Postgres cannot answer anybody."""
    with closing(Hand(breakable.dsn)) as hand:
        node = hand.node(hand.domain())
        breakable.serve(node, A, b"first")
        assert breakable.sink.flush(10.0)
        breakable_postgres.part.freeze()
        pulls = threading.Thread(
            target=lambda: [breakable.serve(node, f"{n:064}", b"x" * 10_000) for n in range(1, 100)]
        )
        pulls.start()
        pulls.join(10.0)
        assert not pulls.is_alive()
        breakable_postgres.part.thaw()
        assert breakable.sink.flush(20.0)
        found = kept_of(hand, node)
    assert len(found) == 3
    reasons = {reason for _, reason in breakable.bodies_lost}
    assert "queue_full" in reasons
    assert breakable.lost == []


def test_bodies_that_fail_hold_no_rows_up(breakable: Keeping) -> None:
    with closing(Hand(breakable.dsn)) as hand:
        node = hand.node(hand.domain())
        hand.run("ALTER TABLE plexsphere.node_bodies RENAME TO elsewhere")
        breakable.serve(node, A, b"first")
        assert breakable.sink.flush(10.0)
        assert breakable.kept() == ["c-1"]
        breakable.sink.close(5.0)
        assert (breakable.bodies_lost, breakable.lost) == ([(1, "failed")], [])


def test_what_is_left_at_the_end_is_counted(
    breakable: Keeping, breakable_postgres: OwnPostgres
) -> None:
    breakable_postgres.part.freeze()
    breakable.serve(uuid4(), A, b"first")
    breakable.sink.close(0.3)
    assert sum(count for count, _ in breakable.bodies_lost) == 1
