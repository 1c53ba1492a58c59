"""Entries on real Postgres: conformance, quotas under concurrency, and who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from uuid import UUID

import pytest

from composer.entries import DATA, KINDS, METADATA, REPORT, EntryRow
from composer.errors import (
    DatastoreUnavailable,
    EntryQuotaExceeded,
    NodeNotFound,
    ReportQuotaExceeded,
)
from composer.identity import AddressedNode
from db.connections import WriteSession
from db.entries import PostgresEntries
from db.heartbeat import PostgresHeartbeats
from db.pool import Pool, write_pool
from tests.factories import DOMAIN, WRITE, agent_of
from tests.integration.ledger_places import Gates, Home
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time
from tests.ports.entry_store import NODE, OTHER, QUOTA, EntryStoreSuite

pytest_plugins = "tests.integration.ledger_fixtures"

CLIENTS = 32
LOCK_TIMEOUT = 0.2


@pytest.fixture
def writes(ledger_dsn: str) -> Iterator[Pool[WriteSession]]:
    made = write_pool(ledger_dsn, size=2, statement_timeout=5.0, lock_timeout=LOCK_TIMEOUT)
    yield made
    made.close()


@pytest.fixture
def many_writes(ledger_dsn: str) -> Iterator[Pool[WriteSession]]:
    """A connection for each client, none of which gives up its turn."""
    made = write_pool(ledger_dsn, size=CLIENTS, statement_timeout=20.0, lock_timeout=20.0)
    yield made
    made.close()


def events_of(hand: Hand, node: UUID) -> list[int]:
    rows = hand.run(
        "SELECT seq FROM plexsphere.events WHERE node_id = %s AND block = 'state' ORDER BY seq",
        node,
    )
    return [row[0] for row in rows]


def entries_of(hand: Hand, node: UUID) -> set[EntryRow]:
    rows = hand.run(
        "SELECT kind, key, value, workload_tag FROM plexsphere.node_state_entries"
        " WHERE node_id = %s",
        node,
    )
    return {EntryRow(*row) for row in rows}


class EntriesInPostgres:
    def __init__(self, hand: Hand, gates: Gates, pool: Pool[WriteSession]) -> None:
        self.store = PostgresEntries(pool, QUOTA, QUOTA)
        self._hand = hand
        self._gates = gates
        hand.run("DELETE FROM plexsphere.events")
        hand.insert("domains", id=DOMAIN)
        for node in (NODE, OTHER):
            hand.insert("nodes", id=node.id, domain_id=DOMAIN)

    def shown(self, node: UUID) -> set[EntryRow]:
        return entries_of(self._hand, node)

    def events(self, node: UUID) -> int:
        return len(events_of(self._hand, node))

    def remove_node(self, node: UUID) -> None:
        self._hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", node)

    def go_away(self) -> None:
        self._gates.shut()


class TestPostgresEntries(EntryStoreSuite):
    @pytest.fixture
    def facts(self, emptied: Hand, gates: Gates, writes: Pool[WriteSession]) -> EntriesInPostgres:
        return EntriesInPostgres(emptied, gates, writes)


def first(home: Home, index: int = 0) -> AddressedNode:
    return AddressedNode(home.nodes[index], home.domain, None)


def a(kind: str, key: str = "a", value: str = "1") -> EntryRow:
    return EntryRow(kind, key, value)


@pytest.mark.parametrize("kind", KINDS)
def test_the_quota_holds_under_thirty_two_writers(
    home: Home, many_writes: Pool[WriteSession], kind: str
) -> None:
    store = PostgresEntries(many_writes, report_quota=10, entry_quota=10)
    together = threading.Barrier(CLIENTS)

    def client(number: int) -> bool:
        together.wait()
        try:
            store.put(first(home), a(kind, f"k{number}"), WRITE, in_time())
        except (ReportQuotaExceeded, EntryQuotaExceeded):
            return False
        return True

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert sum(clients.map(client, range(CLIENTS))) == 10
    assert len(entries_of(home.hand, home.nodes[0])) == 10


def test_replacing_at_the_quota_never_exceeds_it_whoever_else_writes(
    home: Home, many_writes: Pool[WriteSession]
) -> None:
    store = PostgresEntries(many_writes, report_quota=4, entry_quota=4)
    for number in range(4):
        store.put(first(home), a(REPORT, f"k{number}"), WRITE, in_time())
    together = threading.Barrier(CLIENTS)

    def client(number: int) -> None:
        together.wait()
        store.put(first(home), a(REPORT, f"k{number % 4}", str(number)), WRITE, in_time())

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, range(CLIENTS)))
    assert len(entries_of(home.hand, home.nodes[0])) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_no_entry_gives_the_domain_another_revision(
    home: Home, writes: Pool[WriteSession], kind: str
) -> None:
    store = PostgresEntries(writes, QUOTA, QUOTA)
    before = home.hand.revision(home.domain)
    store.put(first(home), a(kind), WRITE, in_time())
    store.put(first(home), a(kind, value="2"), WRITE, in_time())
    assert [row.value for row in home.view().entries()] == ["2"]
    store.remove(first(home), kind, "a", WRITE, in_time())
    assert not home.view().entries()
    assert home.hand.revision(home.domain) == before


def test_a_report_waits_for_no_writer_of_its_domain_and_for_no_heartbeat(
    home: Home, writes: Pool[WriteSession]
) -> None:
    store = PostgresEntries(writes, QUOTA, QUOTA)
    with closing(home.hand.session()) as other, other.cursor() as used:
        used.execute(
            "SELECT FROM plexsphere.domains WHERE id = %s FOR NO KEY UPDATE", (str(home.domain),)
        )
        used.execute(
            "UPDATE plexsphere.nodes SET last_heartbeat_at = now() WHERE id = %s",
            (str(home.nodes[0]),),
        )
        store.put(first(home), a(REPORT), WRITE, in_time())
        store.remove(first(home), REPORT, "a", WRITE, in_time())
        other.rollback()


def test_a_report_under_way_holds_up_no_heartbeat_and_no_other_node(
    home: Home, writes: Pool[WriteSession]
) -> None:
    store = PostgresEntries(writes, QUOTA, QUOTA)
    with closing(home.hand.session()) as other, other.cursor() as used:
        used.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('plexsphere reports of ' || %s, 0))",
            (str(home.nodes[0]),),
        )
        used.execute(
            "SELECT FROM plexsphere.nodes WHERE id = %s FOR KEY SHARE", (str(home.nodes[0]),)
        )
        now = home.hand.run("SELECT clock_timestamp()")[0][0]
        heard = PostgresHeartbeats(writes).heartbeat(
            agent_of(1), home.nodes[0], now, None, in_time()
        )
        assert heard.accepted_at is not None
        assert store.put(first(home, 1), a(REPORT), WRITE, in_time())
        with pytest.raises(DatastoreUnavailable, match="55P03"):
            store.put(first(home), a(REPORT), WRITE, in_time())
        other.rollback()
    assert store.put(first(home), a(REPORT), WRITE, in_time())


@pytest.mark.parametrize("kind", [METADATA, DATA])
def test_metadata_and_data_wait_for_a_writer_of_their_domain_and_not_for_long(
    home: Home, writes: Pool[WriteSession], kind: str
) -> None:
    store = PostgresEntries(writes, QUOTA, QUOTA)
    with closing(home.hand.session()) as other, other.cursor() as used:
        used.execute(
            "SELECT FROM plexsphere.domains WHERE id = %s FOR NO KEY UPDATE", (str(home.domain),)
        )
        with pytest.raises(DatastoreUnavailable, match="55P03"):
            store.put(first(home), a(kind), WRITE, in_time())
        with pytest.raises(DatastoreUnavailable, match="55P03"):
            store.remove(first(home), kind, "a", WRITE, in_time())
        other.rollback()
    assert events_of(home.hand, home.nodes[0]) == []
    assert store.put(first(home), a(kind), WRITE, in_time())


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_goes_while_it_is_written_to_is_not_found(
    home: Home, many_writes: Pool[WriteSession], kind: str
) -> None:
    """The writer has passed gate 3, finds the row locked, and then gone: no half of it stays."""
    store = PostgresEntries(many_writes, QUOTA, QUOTA)
    node = home.nodes[0]
    with closing(home.hand.session()) as other, other.cursor() as used:
        used.execute("DELETE FROM plexsphere.nodes WHERE id = %s", (str(node),))
        with ThreadPoolExecutor(1) as writer:
            put = writer.submit(store.put, first(home), a(kind), WRITE, in_time())
            wait_for_a_waiter(home.hand)
            other.commit()
            with pytest.raises(NodeNotFound):
                put.result()
    assert (entries_of(home.hand, node), events_of(home.hand, node)) == (set(), [])


def wait_for_a_waiter(hand: Hand) -> None:
    """Until some session of this database waits for a lock."""
    for _ in range(5_000):
        if hand.run(
            "SELECT pid FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ):
            return
    raise AssertionError("nobody waits")


def test_events_of_a_node_are_numbered_in_the_order_they_are_committed(
    home: Home, many_writes: Pool[WriteSession]
) -> None:
    """A reader that has seen a number never finds a smaller one afterwards."""
    store = PostgresEntries(many_writes, CLIENTS, CLIENTS)
    together = threading.Barrier(CLIENTS + 1)
    seen: list[list[int]] = []

    def client(number: int) -> None:
        together.wait()
        for turn in range(4):
            store.put(first(home), a(METADATA, f"k{number}", str(turn)), WRITE, in_time())

    with ThreadPoolExecutor(CLIENTS) as clients:
        running = [clients.submit(client, number) for number in range(CLIENTS)]
        together.wait()
        while not all(future.done() for future in running):
            seen.append(events_of(home.hand, home.nodes[0]))
        for future in running:
            future.result()
    assert any(seen)
    for before, after in pairwise(seen):
        assert after[: len(before)] == before


def test_after_every_connection_was_cut_the_next_entry_is_written(
    home: Home, writes: Pool[WriteSession]
) -> None:
    store = PostgresEntries(writes, QUOTA, QUOTA)
    store.put(first(home), a(DATA), WRITE, in_time())
    home.hand.run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'plexsphere-state write' AND datname = current_database()"
    )
    assert store.put(first(home), a(DATA, value="2"), WRITE, in_time())
