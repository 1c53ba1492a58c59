"""Audit rows by day: kept by the migration, never refused for want of a partition."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from db.audit_batches import DAYS_AHEAD, AuditBatchWriter, QueuedRow
from db.migrate import migrate, migrations
from tests.integration.ledger_audit import Watched, batch_of, row
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"

BY_DAY = next(migration.version for migration in migrations() if migration.name == "audit_by_day")
BEFORE = [migration for migration in migrations() if migration.version < BY_DAY]
# The names that others rely on; what is not named has a default.
INSERT = """
INSERT INTO plexsphere.audit_rows
    (occurred_at, relation, outcome, subject, object, correlation_id, digest)
VALUES (%s, 'node_state.pull', 'granted', 'user:ann', %s, 'c', %s)
"""
PLACES = """
SELECT a.object, c.relname
FROM plexsphere.audit_rows AS a
JOIN pg_class AS c ON c.oid = a.tableoid
ORDER BY a.seq
"""
DAYS = """
SELECT relname FROM pg_class
WHERE relnamespace = 'plexsphere'::regnamespace AND relispartition AND relkind = 'r'
    AND relname <> 'audit_rows_default'
ORDER BY relname
"""
COMING_DAYS = """
SELECT to_char((now() AT TIME ZONE 'UTC')::date + n, '"audit_rows_"YYYYMMDD')
FROM generate_series(0, %s - 1) AS n
"""


@pytest.fixture
def fresh(migrated_database: FreshDatabase) -> Iterator[Hand]:
    """A ledger that no writer has seen yet."""
    dsn = migrated_database()
    with closing(Hand(dsn)) as made:
        yield made


def write_one(dsn: str, object_: str = "node:x", ago: float = 0.0) -> None:
    writer = AuditBatchWriter(dsn, "test", time.monotonic)
    batch = batch_of([QueuedRow(time.monotonic() - ago, row(1, object=object_))])
    writer.write(batch, in_time())
    writer.close()


class TestTheMigration:
    @pytest.fixture
    def earlier(self, fresh_database: FreshDatabase) -> Iterator[Hand]:
        """A ledger of the release before, with rows of three days and a Node."""
        dsn = fresh_database()
        migrate(dsn, BEFORE)
        with closing(Hand(dsn)) as made:
            yield made

    def test_every_row_is_kept_as_it_was(self, earlier: Hand) -> None:
        for day in ("2026-11-01 23:59:59.999999+00", "2026-11-02 00:00:00+00", "2026-11-20", "now"):
            earlier.run(INSERT, day, "node:x", "ab" * 32)
        columns = "seq, occurred_at, relation, outcome, subject, object, correlation_id, digest"
        everything = f"SELECT {columns} FROM plexsphere.audit_rows ORDER BY seq"
        before = earlier.run(everything)
        migrate(earlier.dsn)
        assert len(before) == 4
        assert earlier.run(everything) == before

    def test_rows_come_into_the_partition_of_their_day_in_utc(self, earlier: Hand) -> None:
        earlier.run(INSERT, "2026-11-01 23:59:59.999999+00", "node:x", None)
        earlier.run(INSERT, "2026-11-02 13:00:00+13", "node:x", None)
        earlier.run(INSERT, "infinity", "node:x", None)
        migrate(earlier.dsn)
        assert [place.rpartition("_")[2] for _, place in earlier.run(PLACES)] == [
            "20261101",
            "20261102",
            "default",
        ]

    def test_later_rows_have_a_later_sequence(self, earlier: Hand) -> None:
        for _ in range(5):
            earlier.run(INSERT, "now", "node:before", None)
        migrate(earlier.dsn)
        write_one(earlier.dsn, "node:after")
        found = earlier.run("SELECT object FROM plexsphere.audit_rows ORDER BY seq")
        assert [row[0] for row in found] == ["node:before"] * 5 + ["node:after"]

    def test_rows_learn_their_domain_and_nodes_their_last_pull(self, earlier: Hand) -> None:
        domain = earlier.domain()
        node = earlier.node(domain)
        for day, digest in (("2026-11-01", "aa"), ("2026-11-03", "cc"), ("2026-11-02", "bb")):
            earlier.run(INSERT, day, f"node:{node}", digest * 32)
        earlier.run(INSERT, "2026-11-04", f"node:{uuid4()}", "dd" * 32)
        migrate(earlier.dsn)
        found = earlier.run("SELECT domain_id::text FROM plexsphere.audit_rows ORDER BY seq")
        assert found == [(str(domain),)] * 3 + [(None,)]
        assert earlier.run("SELECT node_id::text, digest FROM plexsphere.node_pulls") == [
            (str(node), "cc" * 32)
        ]


@pytest.mark.parametrize(
    "moment", ["1970-01-01", "yesterday", "now", "2999-12-31", "infinity", "-infinity"]
)
def test_an_insert_never_wants_for_a_partition(fresh: Hand, moment: str) -> None:
    fresh.run(INSERT, moment, "node:x", None)
    assert fresh.run(PLACES) == [("node:x", "audit_rows_default")]


def test_a_writer_makes_the_coming_days(fresh: Hand) -> None:
    write_one(fresh.dsn)
    expected = fresh.run(COMING_DAYS, DAYS_AHEAD)
    assert len(expected) == 4
    assert fresh.run(DAYS) == expected
    assert fresh.run(PLACES) == [("node:x", expected[0][0])]


def test_rows_that_waited_for_a_day_move_into_it(fresh: Hand) -> None:
    fresh.run(INSERT, "now", "node:early", None)
    fresh.run(INSERT, "1999-01-01", "node:old", None)
    write_one(fresh.dsn, "node:late")
    today = fresh.run(COMING_DAYS, 1)[0][0]
    assert fresh.run(PLACES) == [
        ("node:early", today),
        ("node:old", "audit_rows_default"),
        ("node:late", today),
    ]


def test_days_are_made_in_utc_whatever_the_sessions_zone(fresh: Hand) -> None:
    fresh.run("SET TimeZone TO 'Pacific/Kiritimati'")
    fresh.run("SELECT plexsphere.make_audit_days('2026-11-24', 1)")
    fresh.run(INSERT, "2026-11-24 00:00:00+00", "node:first", None)
    fresh.run(INSERT, "2026-11-24 23:59:59.999999+00", "node:last", None)
    fresh.run(INSERT, "2026-11-25 00:00:00+00", "node:next", None)
    assert [place.rpartition("_")[2] for _, place in fresh.run(PLACES)] == [
        "20261124",
        "20261124",
        "default",
    ]


def test_workers_that_start_together_make_each_day_once(fresh: Hand) -> None:
    """None fails, none waits for another, no row is lost."""
    sinks = [Watched(fresh.dsn) for _ in range(12)]
    with ThreadPoolExecutor(len(sinks)) as threads:
        list(threads.map(lambda watched: watched.record(range(50)), sinks))
        assert list(threads.map(lambda watched: watched.sink.flush(30.0), sinks)) == [True] * 12
    for watched in sinks:
        watched.sink.close(5.0)
    assert [watched.failed + watched.lost for watched in sinks] == [[]] * 12
    assert fresh.run(DAYS) == fresh.run(COMING_DAYS, DAYS_AHEAD)
    assert fresh.run("SELECT count(*) FROM plexsphere.audit_rows") == [(600,)]


def test_a_long_reader_keeps_no_row_from_being_written(fresh: Hand) -> None:
    """It holds the default partition, which a day cannot be made without."""
    with closing(fresh.session()) as reader, reader.cursor() as reading:
        reading.execute("SELECT count(*) FROM plexsphere.audit_rows")
        write_one(fresh.dsn)
    assert fresh.run(PLACES) == [("node:x", "audit_rows_default")]
    write_one(fresh.dsn)
    today = fresh.run(COMING_DAYS, 1)[0][0]
    assert fresh.run(PLACES) == [("node:x", today), ("node:x", today)]


def test_writers_that_ended_are_forgotten_after_a_week(fresh: Hand) -> None:
    gone, quiet = UUID(int=1), UUID(int=2)
    for writer, age in ((gone, "8 days"), (quiet, "6 days")):
        fresh.run(
            "INSERT INTO plexsphere.audit_writers VALUES (%s, 1, now() - %s::interval)", writer, age
        )
    write_one(fresh.dsn)
    found = fresh.run(
        "SELECT writer::text FROM plexsphere.audit_writers WHERE batch = 1 ORDER BY 1"
    )
    assert (str(quiet),) in found
    assert (str(gone),) not in found
