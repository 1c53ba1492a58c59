"""Old audit rows go in whole days, and nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from composer.deadline import Deadline
from db.audit_retention import AuditRetention, OldAudit
from tests.integration.ledger_audit import Watched, row
from tests.integration.ledger_places import Home
from tests.integration.ledger_rows import Hand

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"

INSERT = """
INSERT INTO plexsphere.audit_rows (occurred_at, relation, outcome, subject, object)
VALUES (now() - %s::interval, 'node_state.pull', 'granted', 'user:ann', %s)
"""
MAKE = "SELECT plexsphere.make_audit_days((now() AT TIME ZONE 'UTC')::date - %s, %s)"
LEFT = "SELECT object FROM plexsphere.audit_rows ORDER BY occurred_at"
MONTH = timedelta(days=30)


@pytest.fixture
def dsn(migrated_database: FreshDatabase) -> str:
    return migrated_database()


@pytest.fixture
def hand(dsn: str) -> Iterator[Hand]:
    """Days from 40 days ago on, each with a row; two rows of no day; a week without a partition."""
    with closing(Hand(dsn)) as made:
        made.run(MAKE, 40, 15)
        made.run(MAKE, 1, 3)
        for days in (40, 39, 32, 31, 30, 29, 1, 0):
            made.run(INSERT, f"{days} days", f"d-{days}")
        made.run(INSERT, "400 days", "stray-400")
        made.run(INSERT, "10 days", "stray-10")
        yield made


@pytest.fixture
def kept(dsn: str) -> Iterator[AuditRetention]:
    with closing(AuditRetention(dsn, pause=lambda seconds: None)) as made:
        yield made


def patient() -> Deadline:
    return Deadline.after(60.0, time.monotonic)


def prune(kept: AuditRetention, old: OldAudit) -> list[bool]:
    dropped = [kept.drop(day, patient(), lambda: None) for day in old.days]
    kept.delete_default(old)
    kept.delete_departed(old)
    return dropped


def left(hand: Hand) -> list[str]:
    return [row[0] for row in hand.run(LEFT)]


def test_what_is_old_is_named_by_day_with_its_rows(hand: Hand, kept: AuditRetention) -> None:
    old = kept.old(MONTH)
    today = datetime.now(UTC).date()
    assert [(today - day.day).days for day in old.days] == list(range(40, 30, -1))
    assert [day.rows for day in old.days] == [1, 1, 0, 0, 0, 0, 0, 0, 1, 1]
    assert all(day.size > 0 for day in old.days)
    assert old.in_default == 1
    assert old.since.astimezone(UTC).date() == today - MONTH


def test_naming_it_removes_nothing(hand: Hand, kept: AuditRetention) -> None:
    before = left(hand)
    kept.old(MONTH)
    assert len(before) == 10
    assert left(hand) == before


def test_whole_days_go_and_all_others_stay(hand: Hand, kept: AuditRetention) -> None:
    old = kept.old(MONTH)
    assert prune(kept, old) == [True] * 10
    assert left(hand) == ["d-30", "d-29", "stray-10", "d-1", "d-0"]
    again = kept.old(MONTH)
    assert (again.days, again.in_default) == ((), 0)


def test_what_was_remembered_of_the_departed_goes_with_their_rows(
    hand: Hand, kept: AuditRetention
) -> None:
    domain = hand.domain()
    node = hand.node(domain)
    pulls = "INSERT INTO plexsphere.node_pulls VALUES (%s, 'aa', now(), now())"
    hand.run(pulls, node)
    hand.run(pulls, uuid4())
    for name, age in (("node:long-gone", "31 days"), ("node:just-gone", "1 day")):
        hand.run(
            "INSERT INTO plexsphere.departed VALUES (%s, %s, now() - %s::interval)",
            name,
            domain,
            age,
        )
    prune(kept, kept.old(MONTH))
    assert hand.run("SELECT object FROM plexsphere.departed") == [("node:just-gone",)]
    assert hand.run("SELECT node_id::text FROM plexsphere.node_pulls") == [(str(node),)]


def test_two_prunes_at_once_drop_each_day_once(dsn: str, hand: Hand) -> None:
    def prune_all(_: int) -> list[bool]:
        with closing(AuditRetention(dsn, pause=lambda seconds: None)) as kept:
            return prune(kept, kept.old(MONTH))

    with ThreadPoolExecutor(2) as threads:
        assert all(all(dropped) for dropped in threads.map(prune_all, range(2)))
    assert left(hand) == ["d-30", "d-29", "stray-10", "d-1", "d-0"]


class TestBehindALongReader:
    """A session that reads old rows and does not end keeps the day, and nobody else."""

    @pytest.fixture
    def reader(self, hand: Hand) -> Iterator[None]:
        with closing(hand.session()) as session, session.cursor() as reading:
            reading.execute("SELECT count(*) FROM plexsphere.audit_rows")
            yield

    def test_the_day_stays_and_the_reader_is_named(
        self, reader: None, hand: Hand, kept: AuditRetention
    ) -> None:
        tries: list[None] = []
        day = kept.old(MONTH).days[0]
        over = Deadline.after(0.0, time.monotonic)
        assert not kept.drop(day, over, lambda: tries.append(None))
        assert (len(tries), len(kept.lock_holders())) == (1, 1)
        assert len(left(hand)) == 10

    def test_pulls_and_audit_writes_go_on(
        self, reader: None, dsn: str, hand: Hand, kept: AuditRetention
    ) -> None:
        """As long as the prune has not given up: for twelve of its attempts."""
        enough, tries = threading.Event(), [0]

        def busy() -> None:
            tries[0] += 1
            if tries[0] >= 12:
                enough.set()

        day = kept.old(MONTH).days[0]
        watched = Watched(dsn)
        written, pulled = 0, 0
        with closing(Home(dsn)) as home, ThreadPoolExecutor(1) as thread:
            patience = Deadline.after(600.0, lambda: 1000.0 if enough.is_set() else 0.0)
            pruning = thread.submit(kept.drop, day, patience, busy)
            while not enough.is_set() and not pruning.done():
                watched.sink.record(row(written, object=f"node:{home.nodes[0]}"))
                assert watched.sink.flush(10.0)
                written += 1
                pulled += len(home.view().peers().rows) == 3
            assert not pruning.result()
        watched.sink.close(5.0)
        assert (watched.failed, watched.lost) == ([], [])
        assert written == pulled >= 1
        found = hand.run("SELECT count(*) FROM plexsphere.audit_rows WHERE object LIKE 'node:%%'")
        assert found == [(written,)]

    def test_it_is_dropped_when_the_reader_is_done(self, hand: Hand, kept: AuditRetention) -> None:
        session = hand.session()
        with closing(session), session.cursor() as reading:
            reading.execute("SELECT count(*) FROM plexsphere.audit_rows")
            tries: list[None] = []

            def busy() -> None:
                tries.append(None)
                if len(tries) == 3:
                    session.rollback()

            assert kept.drop(kept.old(MONTH).days[0], patient(), busy)
        assert len(tries) == 3
        assert "d-40" not in left(hand)


def test_pulls_and_audit_writes_go_on_while_days_are_dropped(
    dsn: str, hand: Hand, kept: AuditRetention
) -> None:
    watched = Watched(dsn)
    stop = threading.Event()

    def write() -> int:
        written = 0
        while not stop.is_set():
            watched.sink.record(row(written, object="node:busy"))
            assert watched.sink.flush(10.0)
            written += 1
        return written

    with closing(Home(dsn)) as home, ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write)
        for day in kept.old(MONTH).days:
            assert len(home.view().peers().rows) == 3
            assert kept.drop(day, patient(), lambda: None)
        stop.set()
        written = writing.result()
    watched.sink.close(5.0)
    assert (watched.failed, watched.lost) == ([], [])
    assert left(hand).count("node:busy") == written >= 1
