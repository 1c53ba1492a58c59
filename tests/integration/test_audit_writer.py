"""The audit sink: exact while the process lives, best effort without Postgres, never in the way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from db.audit import PostgresAuditSink
from db.audit_batches import AuditBatchWriter, QueuedRow
from tests.integration.ledger_audit import (
    Watched,
    batch_of,
    emptied,
    refused_by_the_table,
    row,
)
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    pass

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def dsn(ledger_dsn: str) -> str:
    return emptied(ledger_dsn)


@pytest.fixture
def watched(dsn: str) -> Iterator[Watched]:
    made = Watched(dsn)
    yield made
    made.sink.close(0.0)


def test_rows_become_visible_without_a_flush(watched: Watched) -> None:
    expected = watched.record(range(3))
    for _ in range(500):
        if watched.kept() == expected:
            break
        time.sleep(0.02)
    assert watched.kept() == expected


def test_every_row_of_many_threads_is_kept_once(watched: Watched) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda t: watched.record(range(t * 200, t * 200 + 200)), range(16)))
    assert watched.sink.flush(30.0)
    assert sorted(watched.kept()) == sorted(f"c-{number}" for number in range(3200))
    assert (watched.lost, watched.failed) == ([], [])


def test_closing_writes_what_is_queued(watched: Watched) -> None:
    expected = watched.record(range(1500))
    watched.sink.close(30.0)
    assert (watched.kept(), watched.lost) == (expected, [])


def test_a_row_after_closing_is_lost_and_counted(watched: Watched) -> None:
    watched.sink.close(10.0)
    watched.sink.record(row(1))
    assert watched.lost == [(1, "closed")]


def test_nothing_is_connected_or_started_before_the_first_row(dsn: str) -> None:
    before = threading.active_count()
    watched = Watched(dsn)
    assert (threading.active_count(), watched.sink.flush(1.0)) == (before, True)
    watched.sink.close(1.0)


def test_a_forked_process_writes_its_own_rows(watched: Watched) -> None:
    expected = watched.record(range(2))
    child = os.fork()
    if child == 0:
        watched.record(range(2, 4))
        watched.sink.close(20.0)
        os._exit(len(watched.lost))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert watched.sink.flush(10.0)
    assert sorted(watched.kept()) == [*expected, "c-2", "c-3"]


def test_a_row_that_postgres_cannot_hold_as_it_is_holds_up_nobody(watched: Watched) -> None:
    watched.sink.record(row(1, subject="user:\0\ud800"))
    watched.sink.record(row(2))
    assert watched.sink.flush(10.0)
    assert watched.kept() == ["c-1", "c-2"]


def test_a_row_that_the_table_refuses_is_parked_and_the_others_are_kept_in_order(
    dsn: str, watched: Watched
) -> None:
    with closing(Hand(dsn)) as hand, refused_by_the_table(hand, "subject <> 'user:odd'"):
        for number in range(20):
            watched.sink.record(row(number, subject="user:odd" if number % 7 == 3 else "user:ann"))
        assert watched.sink.flush(20.0)
        odd = [f"c-{number}" for number in (3, 10, 17)]
        assert [parked.correlation_id for parked in watched.parked] == odd
        assert watched.kept() == [f"c-{n}" for n in range(20) if f"c-{n}" not in odd]


def test_a_table_that_refuses_every_row_loses_none(dsn: str, watched: Watched) -> None:
    with closing(Hand(dsn)) as hand:
        with refused_by_the_table(hand, "false"):
            expected = watched.record(range(3))
            assert not watched.sink.flush(0.3)
        assert watched.sink.flush(20.0)
        assert (sorted(watched.kept()), watched.parked, watched.lost) == (expected, [], [])


def test_a_table_that_is_locked_until_the_end_of_the_process_has_every_row(
    dsn: str, watched: Watched
) -> None:
    with closing(Hand(dsn)) as hand, closing(hand.session()) as holder, holder.cursor() as lock:
        lock.execute("LOCK TABLE plexsphere.audit_rows")
        expected = watched.record(range(160))
        with ThreadPoolExecutor(1) as threads:
            closed = threads.submit(watched.sink.close, 10.0)
            while not watched.failed and not closed.done():
                time.sleep(0.02)
            holder.rollback()
            closed.result()
    assert (watched.kept(), watched.lost) == (expected, [])


def test_what_an_observer_raises_reaches_nobody(dsn: str) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("an observer's own fault")

    sink = PostgresAuditSink(dsn, on_lost=broken, on_failed=broken, capacity=0)
    sink.record(row(1))
    sink.close(1.0)


# Time: the ledger's clock, less the age of the row.


@pytest.fixture
def writer(dsn: str) -> Iterator[AuditBatchWriter]:
    made = AuditBatchWriter(dsn, "test", time.monotonic)
    yield made
    made.close()


def recorded(number: int, ago: float = 0.0, **fields: Any) -> QueuedRow:
    """The ``number``-th outcome, ``ago`` seconds old."""
    return QueuedRow(time.monotonic() - ago, row(number, **fields))


def test_a_row_is_dated_when_it_was_recorded(dsn: str, writer: AuditBatchWriter) -> None:
    writer.write(batch_of([recorded(1, ago=3600.0), recorded(2)]), in_time())
    with closing(Hand(dsn)) as hand:
        ages = hand.run(
            "SELECT round(extract(epoch FROM clock_timestamp() - occurred_at) / 60)::int"
            " FROM plexsphere.audit_rows ORDER BY seq"
        )
    assert ages == [(60,), (0,)]


def test_a_batch_sent_again_is_kept_once(watched: Watched, writer: AuditBatchWriter) -> None:
    """The result of the first attempt is unknown to a sender that sends again."""
    batch = batch_of([recorded(1), recorded(2)])
    for _ in range(3):
        writer.write(batch, in_time())
    writer.write(batch_of([recorded(3)], 3, batch.writer), in_time())
    assert watched.kept() == ["c-1", "c-2", "c-3"]


def test_a_batch_that_arrives_after_the_next_one_is_kept_once(
    watched: Watched, writer: AuditBatchWriter
) -> None:
    """The first attempt lay in a frozen server's buffer, and the server has thawed since."""
    first = batch_of([recorded(1)])
    second = batch_of([recorded(2)], 2, first.writer)
    for batch in (first, second, first):
        writer.write(batch, in_time())
    assert watched.kept() == ["c-1", "c-2"]


def test_equal_rows_of_two_writers_are_both_kept(
    watched: Watched, writer: AuditBatchWriter
) -> None:
    other = AuditBatchWriter(watched.dsn, "test", time.monotonic)
    for audit_writer in (writer, other):
        audit_writer.write(batch_of([recorded(1)]), in_time())
    other.close()
    assert watched.kept() == ["c-1", "c-1"]
