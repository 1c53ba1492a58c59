"""The audit sink: exact while the process lives, best effort without Postgres, never in the way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from composer.deadline import Deadline
from composer.errors import DatastoreUnavailable
from composer.ports import AuditRow
from db.audit import PostgresAuditSink
from db.audit_batch import AuditBatchWriter, Recorded
from db.audit_reader import AuditFilter, AuditReader
from db.migrate import migrate
from db.pool import ReadPool
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase, OwnPostgres

pytest_plugins = "tests.integration.ledger_fixtures"


def row(number: int, **fields: Any) -> AuditRow:
    """The ``number``-th outcome."""
    given: dict[str, Any] = {
        "relation": "node_state.pull",
        "outcome": "granted",
        "subject": "user:ann",
        "object": f"node:{number % 3}",
        "correlation_id": f"c-{number}",
        "digest": "ab" * 32,
    }
    return AuditRow(**(given | fields))


def emptied(dsn: str) -> str:
    """The same ledger, without audit rows."""
    with closing(Hand(dsn)) as hand:
        hand.run("DELETE FROM plexsphere.audit_rows")
    return dsn


class Watched:
    """A sink with everything it reports."""

    def __init__(self, dsn: str, **settings: Any) -> None:
        self.lost: list[tuple[int, str]] = []
        self.failed: list[Exception] = []
        self.dsn = dsn
        self.sink = PostgresAuditSink(
            dsn,
            on_lost=lambda rows, reason: self.lost.append((rows, reason)),
            on_failed=self.failed.append,
            **settings,
        )

    def kept(self) -> list[str]:
        """The correlation ids in the ledger, in sequence."""
        with closing(Hand(self.dsn)) as hand:
            found = hand.run("SELECT correlation_id FROM plexsphere.audit_rows ORDER BY seq")
        return [one[0] for one in found]

    def record(self, numbers: range) -> list[str]:
        for number in numbers:
            self.sink.record(row(number))
        return [f"c-{number}" for number in numbers]


@pytest.fixture
def dsn(ledger_dsn: str) -> str:
    return emptied(ledger_dsn)


@pytest.fixture
def watched(dsn: str) -> Iterator[Watched]:
    made = Watched(dsn)
    yield made
    made.sink.close(0.0)


@pytest.fixture
def breakable(breakable_postgres: OwnPostgres) -> Iterator[Watched]:
    """On a Postgres that the test may freeze and stop; what thaws late writes nowhere else."""
    dsn = breakable_postgres.fresh_database()
    migrate(dsn)
    made = Watched(dsn)
    made.sink.record(row(0))
    assert made.sink.flush(10.0)
    yield made
    breakable_postgres.part.thaw()
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


def test_what_an_observer_raises_reaches_nobody(dsn: str) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("an observer's own fault")

    sink = PostgresAuditSink(dsn, on_lost=broken, on_failed=broken, capacity=0)
    sink.record(row(1))
    sink.close(1.0)


# Time: the ledger's clock, less the age of the row.


def test_a_row_is_dated_when_it_was_recorded(dsn: str) -> None:
    now = time.monotonic()
    writer = AuditBatchWriter(dsn, "test", time.monotonic)
    batch = [Recorded(uuid4(), now - 3600.0, row(1)), Recorded(uuid4(), now, row(2))]
    writer.write(batch, in_time())
    writer.close()
    with closing(Hand(dsn)) as hand:
        ages = hand.run(
            "SELECT round(extract(epoch FROM clock_timestamp() - occurred_at) / 60)::int"
            " FROM plexsphere.audit_rows ORDER BY seq"
        )
    assert ages == [(60,), (0,)]


def test_a_batch_sent_twice_is_kept_once_with_its_earliest_time(dsn: str) -> None:
    """The first attempt lay in a frozen server's buffer: its rows looked younger than they were."""
    now = time.monotonic()
    one = uuid4()
    writer = AuditBatchWriter(dsn, "test", time.monotonic)
    for age in (60.0, 3600.0, 60.0):
        writer.write([Recorded(one, now - age, row(1))], in_time())
    writer.close()
    with closing(Hand(dsn)) as hand:
        found = hand.run(
            "SELECT round(extract(epoch FROM clock_timestamp() - occurred_at) / 60)::int"
            " FROM plexsphere.audit_rows"
        )
    assert found == [(60,)]


# Postgres away.


def test_rows_recorded_while_postgres_is_stopped_are_kept(
    breakable: Watched, breakable_postgres: OwnPostgres
) -> None:
    breakable_postgres.part.stop()
    expected = breakable.record(range(1, 200))
    assert not breakable.sink.flush(0.5)
    breakable_postgres.part.start()
    assert breakable.sink.flush(20.0)
    assert (breakable.kept(), breakable.lost) == (["c-0", *expected], [])
    assert breakable.failed


def test_rows_recorded_while_postgres_is_frozen_are_kept_once(
    breakable: Watched, breakable_postgres: OwnPostgres
) -> None:
    breakable_postgres.part.freeze()
    expected = breakable.record(range(1, 200))
    # Longer than an attempt, so that at least one was given up and its fate is unknown.
    for _ in range(1000):
        if breakable.failed:
            break
        time.sleep(0.02)
    breakable_postgres.part.thaw()
    assert breakable.sink.flush(20.0)
    assert (breakable.kept(), breakable.lost) == (["c-0", *expected], [])


def test_recording_costs_nothing_while_postgres_is_frozen(
    breakable: Watched, breakable_postgres: OwnPostgres
) -> None:
    breakable_postgres.part.freeze()
    began = time.monotonic()
    breakable.record(range(1, 5001))
    assert time.monotonic() - began < 5.0


def test_rows_that_do_not_fit_are_lost_and_counted(breakable_postgres: OwnPostgres) -> None:
    watched = Watched(breakable_postgres.fresh_database(), capacity=10)  # never migrated
    watched.record(range(25))
    watched.sink.close(0.3)
    assert watched.lost[:15] == [(1, "queue_full")] * 15
    assert watched.lost[15:] == [(10, "shutdown")]


def test_closing_on_a_frozen_postgres_ends_in_time_and_counts_the_rest(
    breakable: Watched, breakable_postgres: OwnPostgres
) -> None:
    breakable_postgres.part.freeze()
    breakable.record(range(1, 31))
    began = time.monotonic()
    breakable.sink.close(0.3)
    assert time.monotonic() - began < 5.0
    assert breakable.lost == [(30, "shutdown")]


def test_rows_wait_for_a_ledger_that_is_migrated_later(fresh_database: FreshDatabase) -> None:
    watched = Watched(fresh_database())
    expected = watched.record(range(3))
    assert not watched.sink.flush(0.3)
    migrate(watched.dsn)
    assert watched.sink.flush(20.0)
    assert (watched.kept(), watched.lost) == (expected, [])
    watched.sink.close(1.0)


# Reading back.


@pytest.fixture
def reader(dsn: str) -> Iterator[AuditReader]:
    pool = ReadPool(dsn, 1, 5.0)
    yield AuditReader(pool)
    pool.close()


def test_the_newest_rows_come_first(watched: Watched, reader: AuditReader) -> None:
    watched.record(range(10))
    watched.sink.flush(10.0)
    found = reader.newest(3, in_time())
    assert [entry.correlation_id for entry in found] == ["c-9", "c-8", "c-7"]


def test_a_follower_sees_every_row_once_in_order(watched: Watched, reader: AuditReader) -> None:
    """Several writers at once: whatever is committed later has a later sequence."""
    others = [Watched(watched.dsn) for _ in range(3)]
    writers = [watched, *others]

    def write(index: int) -> None:
        for number in range(400):
            writers[index].sink.record(row(number, correlation_id=f"{index}-{number}"))
            if number % 40 == 0:
                writers[index].sink.flush(10.0)
        writers[index].sink.flush(10.0)

    seen: list[str] = []
    cursor = 0
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(write, index) for index in range(4)]
        while True:
            over = all(one.done() for one in running)
            for entry in reader.after(cursor, 100, in_time()):
                cursor = entry.seq
                seen.append(entry.correlation_id)
            if over and not reader.after(cursor, 1, in_time()):
                break
    for one in others:
        one.sink.close(5.0)
    assert len(seen) == len(set(seen)) == 1600


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
