"""The pool and the ledger while Postgres is frozen, stopped, restarted, or only slow."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable
from db import health
from db.ledger import PostgresLedger
from db.migrate import expected_version, migrate
from db.nodes import PostgresNodeRepo
from db.pool import IDLE_BEFORE_PING, ReadPool
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase, OwnPostgres

pytest_plugins = "tests.integration.ledger_fixtures"

PLACES = 2


class Clock:
    """The real one, which a test may set forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Reads:
    """A ledger of one Node, and a pool that reads it."""

    def __init__(self, dsn: str) -> None:
        with closing(Hand(dsn)) as hand:
            self.domain = hand.domain()
            self.node = hand.node(self.domain)
        self.dsn = dsn
        self.clock = Clock()
        self.name = f"test {uuid4()}"
        self.pool = ReadPool(dsn, PLACES, 5.0, application_name=self.name, clock=self.clock)
        self.repo = PostgresNodeRepo(self.pool)
        self.ledger = PostgresLedger(self.pool)

    def lookup(self, seconds: float = 10.0) -> UUID:
        return self.repo.get_by_id(self.node, Deadline.after(seconds, time.monotonic)).domain_id

    def backends(self) -> list[int]:
        """The server processes behind the pool's connections."""
        with closing(Hand(self.dsn)) as hand:
            found = hand.run(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s ORDER BY pid",
                self.name,
            )
        return [row[0] for row in found]

    def cut(self) -> None:
        """Ends every connection of the pool from the server's side."""
        with closing(Hand(self.dsn)) as hand:
            for pid in self.backends():
                hand.run("SELECT pg_terminate_backend(%s, 5000)", pid)


@pytest.fixture
def reads(ledger_dsn: str) -> Iterator[Reads]:
    made = Reads(ledger_dsn)
    yield made
    made.pool.close()


@pytest.fixture(scope="module")
def breakable_dsn(breakable_postgres: OwnPostgres) -> str:
    dsn = breakable_postgres.fresh_database()
    migrate(dsn)
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
    fresh = ReadPool(frozen.dsn, 1, 5.0)
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
        causes = Counter(type(one.exception().__cause__).__name__ for one in asked)  # type: ignore[union-attr]
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


def test_connections_the_server_ended_are_not_noticed(reads: Reads) -> None:
    reads.lookup()
    reads.cut()
    assert reads.lookup() == reads.domain


def test_idle_connections_the_server_ended_are_not_noticed(reads: Reads) -> None:
    reads.lookup()
    reads.cut()
    reads.clock.ahead = 2 * IDLE_BEFORE_PING
    assert reads.lookup() == reads.domain


# Kept, bounded, read-only.


def test_a_connection_is_used_again(reads: Reads) -> None:
    reads.lookup()
    before = reads.backends()
    for _ in range(5):
        reads.lookup()
    assert (len(before), reads.backends()) == (1, before)


def test_no_connection_is_made_before_the_first_read(reads: Reads) -> None:
    assert reads.backends() == []


def test_there_are_never_more_connections_than_places(reads: Reads) -> None:
    with ThreadPoolExecutor(16) as callers:
        list(callers.map(lambda _: reads.lookup(), range(64)))
    assert 1 <= len(reads.backends()) <= PLACES


def test_a_wait_for_a_free_connection_ends_with_the_deadline(reads: Reads) -> None:
    with (
        reads.pool.connection(in_time()),
        reads.pool.connection(in_time()),
        pytest.raises(DatastoreUnavailable),
    ):
        reads.lookup(0.1)
    assert reads.lookup() == reads.domain


def test_a_wait_for_a_free_connection_is_worth_it(reads: Reads) -> None:
    with ThreadPoolExecutor(1) as callers:
        with reads.pool.connection(in_time()), reads.pool.connection(in_time()):
            waiting = callers.submit(reads.lookup)
            time.sleep(0.05)
        assert waiting.result() == reads.domain


def test_a_slow_statement_ends_with_the_deadline(reads: Reads) -> None:
    with (
        pytest.raises(DatastoreUnavailable),
        reads.pool.connection(Deadline.after(0.2, time.monotonic)) as reading,
    ):
        reading.run("SELECT pg_sleep(30)")


def test_a_slow_statement_ends_on_the_server_too(reads: Reads) -> None:
    brief = ReadPool(reads.dsn, 1, statement_timeout=0.1)
    with pytest.raises(DatastoreUnavailable), brief.connection(in_time()) as reading:
        reading.run("SELECT pg_sleep(30)")
    brief.close()


def test_a_connection_that_failed_is_not_used_again(reads: Reads) -> None:
    reads.lookup()
    before = reads.backends()
    with pytest.raises(ComposerError), reads.pool.connection(in_time()) as reading:
        reading.run("SELECT 1 / 0")
    reads.lookup()
    assert reads.backends() != before


def test_a_fault_that_is_not_an_outage_is_not_called_one(reads: Reads) -> None:
    with pytest.raises(ComposerError) as caught, reads.pool.connection(in_time()) as reading:
        reading.run("SELECT 1 / 0")
    assert not isinstance(caught.value, DatastoreUnavailable)


def test_the_pool_cannot_write(reads: Reads) -> None:
    with pytest.raises(ComposerError, match="25006"), reads.pool.connection(in_time()) as reading:
        reading.run("DELETE FROM plexsphere.nodes")


def test_no_error_quotes_a_value(reads: Reads) -> None:
    with pytest.raises(ComposerError) as caught, reads.pool.connection(in_time()) as reading:
        reading.run("SELECT 'a-secret'::uuid")
    assert "a-secret" not in str(caught.value)


def test_a_forked_process_makes_connections_of_its_own(reads: Reads) -> None:
    reads.lookup()
    before = reads.backends()
    child = os.fork()
    if child == 0:
        os._exit(0 if reads.lookup() == reads.domain else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reads.lookup() == reads.domain
    assert reads.backends() == before


def test_the_schema_version_is_read_through_the_pool(reads: Reads) -> None:
    assert health.schema_version(reads.pool, in_time()) == expected_version()


def test_a_ledger_never_migrated_has_version_zero(fresh_database: FreshDatabase) -> None:
    pool = ReadPool(fresh_database(), 1, 5.0)
    assert health.schema_version(pool, in_time()) == 0
    pool.close()
