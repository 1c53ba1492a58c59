"""The pool: kept, bounded, read-only, and quiet about connections that died on their own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable
from db import health
from db.connections import ReadSession, Row
from db.migrate import expected_version
from db.pool import IDLE_BEFORE_PING, Pool, PoolGroup, read_pool, write_pool
from server.telemetry.probes import Down, RecentNodes, ledger_probe
from tests.integration.ledger_places import PLACES, Reads
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"


def test_connections_the_server_ended_are_not_noticed(reads: Reads) -> None:
    reads.lookup()
    reads.cut()
    assert reads.lookup() == reads.domain


def test_idle_connections_the_server_ended_are_not_noticed(reads: Reads) -> None:
    reads.lookup()
    reads.cut()
    reads.clock.ahead = 2 * IDLE_BEFORE_PING
    assert reads.lookup() == reads.domain


def test_several_statements_do_not_notice_either(reads: Reads) -> None:
    """However short their connection lay idle: what follows the first cannot be sent again."""
    reads.lookup()
    reads.cut()
    with reads.pool.session(in_time()) as session:
        assert session.run("SELECT 1") == [(1,)]


def all_backends(reads: Reads) -> list[int]:
    """One is opened before it is needed."""
    reads.lookup()
    until = time.monotonic() + 10
    while len(reads.backends()) < PLACES and time.monotonic() < until:
        time.sleep(0.01)
    return reads.backends()


def test_connections_are_used_again_and_the_next_is_there_before_it_is_needed(
    reads: Reads,
) -> None:
    before = all_backends(reads)
    for _ in range(5):
        reads.lookup()
    assert (len(before), reads.backends()) == (PLACES, before)


def test_no_connection_is_made_before_the_first_read(reads: Reads) -> None:
    assert reads.backends() == []


def test_there_are_never_more_connections_than_places(reads: Reads) -> None:
    with ThreadPoolExecutor(16) as callers:
        list(callers.map(lambda _: reads.lookup(), range(64)))
    assert 1 <= len(reads.backends()) <= PLACES


def test_a_wait_for_a_free_connection_ends_with_the_deadline(reads: Reads) -> None:
    with (
        reads.pool.session(in_time()),
        reads.pool.session(in_time()),
        pytest.raises(DatastoreUnavailable),
    ):
        reads.lookup(0.1)
    assert reads.lookup() == reads.domain


def test_a_wait_for_a_free_connection_is_worth_it(reads: Reads) -> None:
    with ThreadPoolExecutor(1) as callers:
        with reads.pool.session(in_time()), reads.pool.session(in_time()):
            waiting = callers.submit(reads.lookup)
            time.sleep(0.05)
        assert waiting.result() == reads.domain


def test_a_slow_statement_ends_with_the_deadline(reads: Reads) -> None:
    with (
        pytest.raises(DatastoreUnavailable),
        reads.pool.session(Deadline.after(0.2, time.monotonic)) as session,
    ):
        session.run("SELECT pg_sleep(30)")


def test_a_slow_statement_ends_on_the_server_too(reads: Reads) -> None:
    brief = read_pool(reads.dsn, 1, statement_timeout=0.1)
    with pytest.raises(DatastoreUnavailable), brief.session(in_time()) as session:
        session.run("SELECT pg_sleep(30)")
    brief.close()


def test_a_connection_that_failed_is_not_used_again(reads: Reads) -> None:
    before = all_backends(reads)
    with pytest.raises(ComposerError), reads.pool.session(in_time()) as session:
        session.run("SELECT 1 / 0")
    reads.lookup()
    assert reads.backends() != before


def test_a_fault_that_is_not_an_outage_is_not_called_one(reads: Reads) -> None:
    with pytest.raises(ComposerError) as caught, reads.pool.session(in_time()) as session:
        session.run("SELECT 1 / 0")
    assert not isinstance(caught.value, DatastoreUnavailable)


def test_the_pool_cannot_write(reads: Reads) -> None:
    with pytest.raises(ComposerError, match="25006"), reads.pool.session(in_time()) as session:
        session.run("DELETE FROM plexsphere.nodes")


def test_no_error_quotes_a_value(reads: Reads) -> None:
    with pytest.raises(ComposerError) as caught, reads.pool.session(in_time()) as session:
        session.run("SELECT 'a-secret'::uuid")
    assert "a-secret" not in str(caught.value)


def test_a_forked_process_makes_connections_of_its_own(reads: Reads) -> None:
    before = all_backends(reads)
    child = os.fork()
    if child == 0:
        os._exit(0 if reads.lookup() == reads.domain else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert reads.lookup() == reads.domain
    assert reads.backends() == before


def test_the_schema_version_is_read_through_the_pool(reads: Reads) -> None:
    assert health.schema_version(reads.pool, in_time()) == expected_version()


def test_a_ledger_never_migrated_has_version_zero(fresh_database: FreshDatabase) -> None:
    pool = read_pool(fresh_database(), 1, 5.0)
    assert health.schema_version(pool, in_time()) == 0
    pool.close()


@pytest.fixture
def narrow_dsn(fresh_database: FreshDatabase) -> Iterator[str]:
    """A ledger that admits two connections of the role."""
    dsn = fresh_database()
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("CREATE ROLE narrow LOGIN CONNECTION LIMIT 2 PASSWORD 'narrow'")
        yield make_dsn(dsn, user="narrow", password="narrow")
        cursor.execute("DROP ROLE narrow")


def test_a_pooler_that_loses_prepared_statements_is_named(reads: Reads) -> None:
    reads.lookup()
    with reads.pool.session(in_time()) as session:
        session.run("DEALLOCATE ALL")
    with pytest.raises(DatastoreUnavailable, match="a pooler in transaction mode"):
        reads.lookup()
    probe = ledger_probe(reads.pool, RecentNodes())
    probe(in_time())
    with reads.pool.session(in_time()) as session:
        session.run("DEALLOCATE ALL")
    with pytest.raises(Down, match="a pooler loses prepared statements"):
        probe(in_time())


def test_writers_get_the_idle_connections_of_readers_where_postgres_has_no_more(
    narrow_dsn: str,
) -> None:
    group = PoolGroup()
    reads = read_pool(narrow_dsn, size=2, statement_timeout=5, group=group)
    writes = write_pool(narrow_dsn, size=2, statement_timeout=5, lock_timeout=1, group=group)
    with closing(reads), closing(writes):
        with reads.session(in_time()) as one, reads.session(in_time()) as other:
            assert one.run("SELECT 1") == other.run("SELECT 1")
        with writes.session(in_time()) as first, writes.session(in_time()) as second:
            assert first.run("SELECT 1") == second.run("SELECT 1")


def test_a_caller_waits_for_the_connection_of_another_where_postgres_has_no_more(
    narrow_dsn: str,
) -> None:
    reads = read_pool(narrow_dsn, size=3, statement_timeout=5)
    with closing(reads), ThreadPoolExecutor(1) as threads, ExitStack() as in_use:
        for _ in range(2):
            in_use.enter_context(reads.session(in_time()))
        with pytest.raises(DatastoreUnavailable, match="it has no connection left"):
            _one(reads, in_time(0.3))
        waiting = threads.submit(_one, reads, in_time())
        in_use.close()
        assert waiting.result() == [(1,)]


def _one(reads: Pool[ReadSession], deadline: Deadline) -> list[Row]:
    with reads.session(deadline) as session:
        return session.run("SELECT 1")
