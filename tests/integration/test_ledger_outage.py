"""The pool and the ledger while Postgres is frozen, stopped, restarted, or only slow."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from composer.deadline import Deadline
from composer.errors import DatastoreUnavailable
from db import health
from db.pool import IDLE_BEFORE_PING, read_pool
from tests.integration.ledger_places import PLACES, Reads

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import OwnPostgres

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture(scope="module")
def breakable_dsn(breakable_postgres: OwnPostgres) -> str:
    dsn = breakable_postgres.migrated_database()
    return dsn


@pytest.fixture
def breakable(breakable_dsn: str) -> Iterator[Reads]:
    """On a Postgres that the test may freeze and stop."""
    made = Reads(breakable_dsn)
    yield made
    made.pool.close()


@pytest.fixture
def frozen(breakable: Reads, breakable_postgres: OwnPostgres) -> Iterator[Reads]:
    """A pool that was in use when Postgres froze."""
    breakable.lookup()
    breakable_postgres.part.freeze()
    yield breakable
    breakable_postgres.part.thaw()


# Frozen: it accepts connections and never answers.


@pytest.mark.parametrize(
    "read",
    [
        lambda reads, deadline: reads.repo.get_by_id(reads.node, deadline),
        lambda reads, deadline: reads.ledger.view(reads.node, reads.domain, deadline),
        lambda reads, deadline: health.ping(reads.pool, deadline),
        lambda reads, deadline: health.schema_version(reads.pool, deadline),
    ],
    ids=["node", "snapshot", "ping", "schema version"],
)
def test_a_frozen_postgres_costs_no_more_than_the_deadline(
    frozen: Reads, read: Callable[[Reads, Deadline], object]
) -> None:
    began = time.monotonic()
    with pytest.raises(DatastoreUnavailable):
        read(frozen, Deadline.after(0.3, time.monotonic))
    assert time.monotonic() - began < 5.0  # ten times and more: a busy machine is no failure


def test_connecting_to_a_frozen_postgres_costs_no_more_than_the_deadline(frozen: Reads) -> None:
    fresh = read_pool(frozen.dsn, 1, 5.0)
    began = time.monotonic()
    with pytest.raises(DatastoreUnavailable):
        health.ping(fresh, Deadline.after(0.3, time.monotonic))
    assert time.monotonic() - began < 5.0


def test_an_idle_connection_that_froze_is_found_out_by_a_ping(frozen: Reads) -> None:
    frozen.clock.ahead = 2 * IDLE_BEFORE_PING
    with pytest.raises(DatastoreUnavailable):
        frozen.lookup(0.3)


def test_the_first_read_after_the_thaw_is_answered(
    frozen: Reads, breakable_postgres: OwnPostgres
) -> None:
    with pytest.raises(DatastoreUnavailable):
        frozen.lookup(0.3)
    breakable_postgres.part.thaw()
    assert frozen.lookup() == frozen.domain


def test_a_read_that_waits_through_a_short_freeze_is_answered(
    frozen: Reads, breakable_postgres: OwnPostgres
) -> None:
    thaw = threading.Timer(0.2, breakable_postgres.part.thaw)
    thaw.start()
    assert frozen.lookup() == frozen.domain
    thaw.join()


def test_a_freeze_holds_no_more_callers_than_there_are_places(frozen: Reads) -> None:
    with pytest.raises(DatastoreUnavailable):
        frozen.lookup(0.1)  # from now on there is trouble
    with ThreadPoolExecutor(12) as callers:
        asked = [callers.submit(frozen.lookup, 3.0) for _ in range(12)]
        causes = Counter(type(future.exception().__cause__).__name__ for future in asked)  # type: ignore[union-attr]
    assert causes["NoFreeConnection"] >= 12 - 2 * PLACES


# Stopped and started again.


def test_a_stopped_postgres_is_unavailable(
    breakable: Reads, breakable_postgres: OwnPostgres
) -> None:
    breakable.lookup()
    breakable_postgres.part.stop()
    try:
        with pytest.raises(DatastoreUnavailable):
            breakable.lookup()
    finally:
        breakable_postgres.part.start()


def test_the_first_read_after_a_restart_is_answered(
    breakable: Reads, breakable_postgres: OwnPostgres
) -> None:
    with ThreadPoolExecutor(PLACES) as callers:
        list(callers.map(lambda _: breakable.lookup(), range(8 * PLACES)))
    breakable_postgres.part.restart()
    assert breakable.lookup() == breakable.domain
