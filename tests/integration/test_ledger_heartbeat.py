"""Heartbeats and verdicts on real Postgres: conformance, and what a heartbeat must not do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from composer.deadline import Deadline
from composer.errors import ClockSkew, ComposerError, DatastoreUnavailable, NodeNotFound
from composer.heartbeat import HeartbeatResult
from composer.reachability import ReachabilityRow
from db.connections import ReadSession, WriteSession
from db.heartbeat import PostgresHeartbeats
from db.pool import Pool, read_pool, write_pool
from db.reachability import PostgresReachabilityRepo
from db.statements import Prepared
from tests.factories import DOMAIN, agent_of, node_id
from tests.integration.ledger_places import Gates, Home
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time
from tests.ports.heartbeat_sink import NODE, HeartbeatSinkSuite
from tests.ports.reachability_repo import ReachabilityRepoSuite
from tests.unit.test_together import together

pytest_plugins = "tests.integration.ledger_fixtures"

LOCK_TIMEOUT = 0.2


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On an empty ledger."""
    return emptied


@pytest.fixture
def writes(ledger_dsn: str) -> Iterator[Pool[WriteSession]]:
    made = write_pool(ledger_dsn, size=2, statement_timeout=5.0, lock_timeout=LOCK_TIMEOUT)
    yield made
    made.close()


@pytest.fixture
def reads(ledger_dsn: str) -> Iterator[Pool[ReadSession]]:
    made = read_pool(ledger_dsn, size=2, statement_timeout=5.0)
    yield made
    made.close()


class PostgresHeartbeatFacts:
    def __init__(self, hand: Hand, gates: Gates, pool: Pool[WriteSession]) -> None:
        self.sink = PostgresHeartbeats(pool)
        self._hand = hand
        self._gates = gates
        hand.insert("domains", id=DOMAIN)
        hand.insert("nodes", id=NODE, domain_id=DOMAIN)

    def now(self) -> datetime:
        found: datetime = self._hand.run("SELECT clock_timestamp()")[0][0]
        return found

    def last_heartbeat(self, node: UUID) -> datetime | None:
        rows = self._hand.run("SELECT last_heartbeat_at FROM plexsphere.nodes WHERE id = %s", node)
        return rows[0][0] if rows else None

    def carry(self, node: UUID, token: str) -> None:
        self._hand.run("UPDATE plexsphere.nodes SET authz_token = %s WHERE id = %s", token, node)

    def cover(
        self, node: UUID, digests: tuple[bytes, ...], tokens_not_before: datetime | None
    ) -> None:
        self._hand.run(
            "UPDATE plexsphere.nodes SET secret_key_digests = %s::bytea[], tokens_not_before = %s"
            " WHERE id = %s",
            list(digests),
            tokens_not_before,
            node,
        )

    def remove(self, node: UUID) -> None:
        self._hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", node)

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresHeartbeats(HeartbeatSinkSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, writes: Pool[WriteSession]) -> PostgresHeartbeatFacts:
        return PostgresHeartbeatFacts(hand, gates, writes)


class PostgresVerdictFacts:
    def __init__(self, hand: Hand, gates: Gates, pool: Pool[ReadSession]) -> None:
        self.repo = PostgresReachabilityRepo(pool)
        self._hand = hand
        self._gates = gates
        hand.insert("domains", id=DOMAIN)

    def put(self, node: UUID, row: ReachabilityRow) -> None:
        self.remove(node)
        self._hand.insert(
            "nodes",
            id=node,
            domain_id=DOMAIN,
            reachability_state=row.state,
            last_heartbeat_at=row.last_heartbeat_at,
            changed_at=row.changed_at,
        )

    def cover(
        self, node: UUID, digests: tuple[bytes, ...], tokens_not_before: datetime | None
    ) -> None:
        self._hand.run(
            "UPDATE plexsphere.nodes SET secret_key_digests = %s::bytea[], tokens_not_before = %s"
            " WHERE id = %s",
            list(digests),
            tokens_not_before,
            node,
        )

    def remove(self, node: UUID) -> None:
        self._hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", node)

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresReachabilityRepo(ReachabilityRepoSuite):
    @pytest.fixture
    def facts(self, hand: Hand, gates: Gates, reads: Pool[ReadSession]) -> PostgresVerdictFacts:
        return PostgresVerdictFacts(hand, gates, reads)


def everything_of(home: Home, index: int) -> dict[str, object]:
    found = home.hand.run(
        "SELECT to_jsonb(n) - 'last_heartbeat_at' FROM plexsphere.nodes AS n WHERE id = %s",
        home.nodes[index],
    )
    value: dict[str, object] = found[0][0]
    return value


def beat(home: Home, writes: Pool[WriteSession], index: int = 0) -> datetime:
    now = home.hand.run("SELECT clock_timestamp()")[0][0]
    result = PostgresHeartbeats(writes).heartbeat(
        agent_of(1), home.nodes[index], now, None, in_time()
    )
    assert result.accepted_at is not None
    return result.accepted_at


def test_a_heartbeat_bumps_no_revision_and_writes_no_other_column(
    home: Home, writes: Pool[WriteSession]
) -> None:
    before = home.hand.revision(home.domain), everything_of(home, 0), everything_of(home, 1)
    beat(home, writes)
    after = home.hand.revision(home.domain), everything_of(home, 0), everything_of(home, 1)
    assert after == before


def test_a_heartbeat_waits_for_a_writer_of_its_row_and_not_for_long(
    home: Home, writes: Pool[WriteSession]
) -> None:
    with closing(home.hand.session()) as other, other.cursor() as used:
        used.execute("SELECT FROM plexsphere.nodes WHERE id = %s FOR UPDATE", (str(home.nodes[0]),))
        began = time.monotonic()
        with pytest.raises(DatastoreUnavailable, match="55P03"):
            beat(home, writes)
        assert time.monotonic() - began >= LOCK_TIMEOUT
        assert beat(home, writes, index=1)  # its neighbour waits for nobody
        other.rollback()
    assert beat(home, writes)


def test_a_heartbeat_does_not_wait_for_a_writer_of_its_domain(
    home: Home, writes: Pool[WriteSession]
) -> None:
    """Registrations hold the Domain row; agents must not queue behind them."""
    with closing(home.hand.session()) as other, other.cursor() as used:
        used.execute(
            "SELECT FROM plexsphere.domains WHERE id = %s FOR NO KEY UPDATE", (str(home.domain),)
        )
        assert beat(home, writes)
        other.rollback()


def test_time_that_a_test_has_moved_is_the_time_of_a_heartbeat(
    home: Home, writes: Pool[WriteSession]
) -> None:
    now: datetime = home.hand.run("SELECT clock_timestamp()")[0][0]
    ahead = timedelta(minutes=10)
    sink = PostgresHeartbeats(writes, lambda: ahead)
    result = sink.heartbeat(agent_of(1), home.nodes[0], now + ahead, None, in_time())
    assert result.accepted_at is not None and result.accepted_at >= now + ahead


def test_the_read_pool_cannot_be_used_for_a_heartbeat(home: Home) -> None:
    sink = PostgresHeartbeats(home.pool)  # type: ignore[arg-type]
    home.pool.repeatable = home.pool.fetch  # type: ignore[attr-defined]
    with pytest.raises(ComposerError, match="25006"):
        sink.heartbeat(agent_of(1), home.nodes[0], datetime.now().astimezone(), None, in_time())


def test_after_every_connection_was_cut_the_next_heartbeat_is_written(
    home: Home, writes: Pool[WriteSession]
) -> None:
    beat(home, writes)
    home.hand.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'plexsphere-state write' AND datname = current_database()"
    )
    assert beat(home, writes)


class Counting:
    """A pool, and the names of the statements that it was given."""

    def __init__(self, pool: Pool[WriteSession]) -> None:
        self._pool = pool
        self.names: list[str] = []

    def fetch(self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline) -> Any:
        self.names.append(query.name)
        return self._pool.fetch(query, arguments, deadline)


def test_heartbeats_that_come_together_are_one_statement_and_each_has_its_own_end(
    home: Home, writes: Pool[WriteSession]
) -> None:
    """Only what one statement cannot say has another, and a locked row delays no other Node."""
    home.set(1, authz_token="of row 1")
    now: datetime = home.hand.run("SELECT clock_timestamp()")[0][0]
    counting = Counting(writes)
    sink = PostgresHeartbeats(counting)  # type: ignore[arg-type]

    def beats(node: UUID, at: datetime, token: str | None) -> Callable[[], HeartbeatResult]:
        return lambda: sink.heartbeat(agent_of(9), node, at, token, in_time())

    first, second, third = home.nodes
    with closing(home.hand.session()) as other, other.cursor() as used:
        used.execute("SELECT FROM plexsphere.nodes WHERE id = %s FOR UPDATE", (str(third),))
        ends = together(
            beats(third, now, None),
            beats(first, now, None),
            beats(first, now + timedelta(hours=1), None),
            beats(first, now, "another"),
            beats(second, now, "of row 1"),
            beats(second, now, "another"),
            beats(node_id(99), now, None),
        )
        other.rollback()
    assert isinstance(ends[0], DatastoreUnavailable)
    assert isinstance(ends[2], ClockSkew)
    assert isinstance(ends[6], NodeNotFound)
    told = [end for end in ends if isinstance(end, HeartbeatResult)]
    assert [end.accepted_at is not None for end in told] == [True, True, True, False]
    assert told[3].authz_token == "of row 1"
    assert counting.names == ["node_heartbeats"] + 5 * ["node_heartbeat"]
