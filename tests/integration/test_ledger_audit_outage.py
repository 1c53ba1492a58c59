"""The audit sink while Postgres is stopped, frozen, or not migrated yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from db.migrate import migrate
from server.dev.ports import free_ports
from tests.integration.ledger_audit import Watched, row

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase, OwnPostgres

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def breakable(breakable_postgres: OwnPostgres) -> Iterator[Watched]:
    """On a Postgres that the test may freeze and stop; what thaws late writes nowhere else."""
    dsn = breakable_postgres.migrated_database()
    made = Watched(dsn)
    made.sink.record(row(0))
    assert made.sink.flush(10.0)
    yield made
    breakable_postgres.part.thaw()
    made.sink.close(0.0)


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
    overflown = sum(rows for rows, reason in watched.lost if reason == "queue_full")
    assert (overflown, watched.lost[-1]) == (15, (10, "shutdown"))


def test_closing_on_a_frozen_postgres_ends_in_time_and_counts_the_rest(
    breakable: Watched, breakable_postgres: OwnPostgres
) -> None:
    breakable_postgres.part.freeze()
    breakable.record(range(1, 31))
    began = time.monotonic()
    breakable.sink.close(0.3)
    assert time.monotonic() - began < 5.0
    assert breakable.lost == [(30, "shutdown")]


def test_closing_without_a_postgres_pauses_between_attempts() -> None:
    watched = Watched(f"postgresql://nobody@127.0.0.1:{free_ports(1)[0]}/none")
    watched.record(range(1))
    watched.sink.close(1.0)
    assert 1 < len(watched.failed) < 10


def test_rows_wait_for_a_ledger_that_is_migrated_later(fresh_database: FreshDatabase) -> None:
    watched = Watched(fresh_database())
    expected = watched.record(range(3))
    assert not watched.sink.flush(0.3)
    migrate(watched.dsn)
    assert watched.sink.flush(20.0)
    assert (watched.kept(), watched.lost) == (expected, [])
    watched.sink.close(1.0)
