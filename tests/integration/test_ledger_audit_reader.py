"""Audit rows read back: newest first, followed, filtered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from composer.deadline import Deadline
from composer.errors import DatastoreUnavailable
from db.audit_reader import AuditFilter, AuditReader
from db.pool import read_pool
from tests.integration.ledger_audit import Watched, emptied, row
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

OBJECT = "node:00000000-0000-0000-0000-000000000001"

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def dsn(ledger_dsn: str) -> str:
    return emptied(ledger_dsn)


@pytest.fixture
def watched(dsn: str) -> Iterator[Watched]:
    made = Watched(dsn)
    yield made
    made.sink.close(0.0)


@pytest.fixture
def reader(dsn: str) -> Iterator[AuditReader]:
    pool = read_pool(dsn, 1, 5.0)
    yield AuditReader(pool)
    pool.close()


def test_the_newest_rows_come_first(watched: Watched, reader: AuditReader) -> None:
    watched.record(range(10))
    watched.sink.flush(10.0)
    found = reader.newest(3, in_time())
    assert [entry.correlation_id for entry in found] == ["c-9", "c-8", "c-7"]


def test_no_row_is_read_before_one_that_a_write_in_progress_may_add_below_it(
    dsn: str, reader: AuditReader
) -> None:
    with closing(Hand(dsn)) as hand, closing(hand.session()) as slow:
        write = f"SELECT plexsphere.record_write('x', 'user:ann', '{OBJECT}', %s)"
        (settled,) = hand.run("SELECT last_value FROM plexsphere.audit_rows_seq")[0]
        with slow.cursor() as first:
            first.execute(write, ("first",))
            hand.run(write, "second")
            seen = reader.newest(9, in_time()), reader.after(settled, 9, in_time())
            slow.commit()
        assert seen == ([], [])
        found = [entry.correlation_id for entry in reader.after(settled, 9, in_time())]
    assert found == ["first", "second"]


def test_a_follower_sees_every_row_once_in_order(watched: Watched, reader: AuditReader) -> None:
    """Of several writers at once, of batches and of single rows."""
    others = [Watched(watched.dsn) for _ in range(3)]
    writers = [watched, *others]

    def write(index: int) -> None:
        for number in range(400):
            writers[index].sink.record(row(number, correlation_id=f"{index}-{number}"))
            if number % 40 == 0:
                writers[index].sink.flush(10.0)
        writers[index].sink.flush(10.0)

    def write_single(index: int) -> None:
        # The pause lets another writer commit between the seq of a row and its own commit.
        sql = (
            f"WITH made AS MATERIALIZED (SELECT plexsphere.record_write('x', 'y', '{OBJECT}', %s))"
            " SELECT pg_sleep(0.001) FROM made"
        )
        with closing(Hand(watched.dsn)) as hand:
            for number in range(100):
                hand.run(sql, f"{index}-{number}")

    seen: list[str] = []
    cursor = 0
    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(write, index) for index in range(4)]
        running += [threads.submit(write_single, index) for index in range(4, 8)]
        while True:
            over = all(future.done() for future in running)
            for entry in reader.after(cursor, 100, in_time()):
                cursor = entry.seq
                seen.append(entry.correlation_id)
            if over and not reader.after(cursor, 1, in_time()):
                break
    for other in others:
        other.sink.close(5.0)
    assert len(seen) == len(set(seen)) == 2000


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (AuditFilter(object="node:1"), ["c-4", "c-1"]),
        (AuditFilter(outcome="insufficient_relation"), ["x"]),
        (AuditFilter(subject="user:bob"), ["x"]),
        (AuditFilter(correlation_id="c-3"), ["c-3"]),
        (AuditFilter(relation="node_state.pull", object="node:2"), ["c-2"]),
        (AuditFilter(relation="another"), []),
    ],
    ids=str,
)
def test_rows_are_filtered(
    watched: Watched, reader: AuditReader, where: AuditFilter, expected: list[str]
) -> None:
    watched.record(range(5))
    watched.sink.record(
        row(
            9,
            outcome="insufficient_relation",
            subject="user:bob",
            correlation_id="x",
            digest=None,
        )
    )
    watched.sink.flush(10.0)
    found = reader.newest(10, in_time(), where)
    assert [entry.correlation_id for entry in found] == expected
    assert [e.correlation_id for e in reader.after(0, 10, in_time(), where)] == expected[::-1]


def test_a_reader_without_time_says_so(reader: AuditReader) -> None:
    with pytest.raises(DatastoreUnavailable):
        reader.newest(1, Deadline.after(-1.0, time.monotonic))
