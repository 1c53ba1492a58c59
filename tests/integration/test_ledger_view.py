"""What a view of the ledger shows, decodes, refuses and remembers, beyond the port's suite."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from composer.errors import CorruptLedger, NodeNotFound
from composer.peers import PeerRow
from db.ledger import PostgresLedger, PostgresLedgerView
from db.migrate import migrate
from db.pool import ReadPool
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"


class Home:
    """A Domain of three Nodes; the first is the addressed one."""

    def __init__(self, dsn: str) -> None:
        self.hand = Hand(dsn)
        self.domain = self.hand.domain()
        self.nodes = [self.hand.node(self.domain, number) for number in (1, 2, 3)]
        self.pool = ReadPool(dsn, 4, 5.0)
        self.ledger = PostgresLedger(self.pool)

    def view(self) -> PostgresLedgerView:
        return self.ledger.view(self.nodes[0], self.domain, in_time())

    def peer(self, index: int) -> PeerRow:
        found = [row for row in self.view().peers().rows if row.node_id == self.nodes[index]]
        return found[0]

    def set(self, index: int, **columns: Any) -> None:
        names = ", ".join(f"{name} = %s" for name in columns)
        self.hand.run(
            f"UPDATE plexsphere.nodes SET {names} WHERE id = %s",
            *columns.values(),
            self.nodes[index],
        )

    def close(self) -> None:
        self.pool.close()
        self.hand.close()


@pytest.fixture
def home(ledger_dsn: str) -> Iterator[Home]:
    with closing(Home(ledger_dsn)) as made:
        yield made


# Peers, honestly.


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("10.42.0.7", "10.42.0.7"),
        ("10.42.0.7/16", "10.42.0.7"),
        ("FD00:0042::0007", "fd00:42::7"),
        ("fd00::1/64", "fd00::1"),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        (None, None),
    ],
    ids=str,
)
def test_an_address_is_shown_in_canonical_text(
    home: Home, stored: str | None, shown: str | None
) -> None:
    home.set(1, mesh_ip=stored)
    assert home.peer(1).mesh_ip == shown


@pytest.mark.parametrize("key", [None, b"", b"-", b"\x00", b"\n 7 x", bytes(32), bytes(range(256))])
def test_a_key_is_shown_as_it_is(home: Home, key: bytes | None) -> None:
    home.set(1, public_key=key)
    assert home.peer(1).public_key == key


def test_the_nil_node_is_a_row_like_any_other(home: Home) -> None:
    home.hand.insert("nodes", id=UUID(int=0), domain_id=home.domain)
    assert home.view().peers().rows[0] == PeerRow(UUID(int=0), None, None)
    home.hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", UUID(int=0))


@pytest.mark.parametrize("host", ["relay.example", "fd00::1", "two words", 'a"b\\c', "x\ny", "ü-"])
def test_a_fallback_host_is_shown_as_it_is(home: Home, host: str) -> None:
    home.hand.assign(home.hand.bridge(home.nodes[0]), home.nodes[1], host, 65535)
    assert (home.peer(1).relay_host, home.peer(1).relay_port) == (host, 65535)


def test_of_two_relays_that_of_the_lowest_resource_is_shown(home: Home) -> None:
    resources = {home.hand.bridge(home.nodes[0]): "a", home.hand.bridge(home.nodes[2]): "b"}
    for resource, host in resources.items():
        home.hand.assign(resource, home.nodes[1], host)
    assert home.peer(1).relay_host == resources[min(resources)]


def test_a_disabled_relay_does_not_hide_an_enabled_one(home: Home) -> None:
    off, on = (home.hand.bridge(node) for node in (home.nodes[0], home.nodes[2]))
    for resource, host in ((off, "off"), (on, "on")):
        home.hand.assign(resource, home.nodes[1], host)
    home.hand.run(
        "UPDATE plexsphere.bridge_relays SET enabled = false WHERE bridge_resource_id = %s", off
    )
    assert home.peer(1).relay_host == "on"


def test_a_relay_in_another_domain_is_not_shown(home: Home) -> None:
    stranger = home.hand.node(home.hand.domain(), 9)
    home.hand.assign(home.hand.bridge(stranger), home.nodes[1])
    assert home.peer(1).relay_host is None


# Times and texts.


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC),
        datetime(2026, 11, 23, 8, 0, 0, 123456, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
    ids=str,
)
def test_a_time_is_exact(home: Home, moment: datetime) -> None:
    home.set(0, last_heartbeat_at=moment, changed_at=moment)
    row = home.view().reachability()
    assert (row.last_heartbeat_at, row.changed_at) == (moment, moment)
    assert row.changed_at.tzinfo is UTC


def test_no_setting_around_the_connection_changes_what_is_shown(
    fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = fresh_database()
    migrate(dsn)
    moment = datetime(1890, 1, 1, 1, 2, 3, 400000, tzinfo=UTC)
    with closing(Home(dsn)) as home:
        home.set(0, changed_at=moment)
        home.hand.insert(
            "node_state_entries", node_id=home.nodes[0], kind="data", key="k", value="Zürich €"
        )
        name = home.hand.run("SELECT current_database()")[0][0]
        for setting in (
            "TimeZone = 'Asia/Kathmandu'",
            "DateStyle = 'SQL, DMY'",
            "bytea_output = 'escape'",
            "search_path = 'pg_temp'",
            "default_transaction_isolation = 'serializable'",
        ):
            home.hand.run(f"ALTER DATABASE {name} SET {setting}")
    for variable, value in (
        ("PGTZ", "America/Caracas"),
        ("PGDATESTYLE", "German"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGOPTIONS", "-c TimeZone=Asia/Tokyo"),
    ):
        monkeypatch.setenv(variable, value)
    with closing(Home(dsn)) as other:
        view = other.ledger.view(home.nodes[0], home.domain, in_time())
        assert view.reachability().changed_at == moment
        assert view.entries()[0].value == "Zürich €"
        assert len(view.peers().rows) == 3


# What cannot be decoded.


@pytest.mark.parametrize("column", ["last_heartbeat_at", "changed_at"])
@pytest.mark.parametrize("moment", ["infinity", "-infinity", "10000-01-01", "0044-03-15 BC"])
def test_a_time_that_is_none_is_corruption(home: Home, column: str, moment: str) -> None:
    home.set(0, **{column: moment})
    with pytest.raises(CorruptLedger, match=f"node_id={home.nodes[0]} row_set=reachability"):
        home.view()


def test_a_number_past_all_floats_is_corruption(home: Home) -> None:
    _provider(home, '{"n": 1' + "0" * 400 + ".5}")
    with pytest.raises(CorruptLedger, match="row_set=bridge"):
        home.view()


def test_a_routing_policy_keeps_its_numbers_and_texts(home: Home) -> None:
    routing = {"big": 2**70, "half": 0.5, "text": "\u2028é", "none": None, "list": [1, [True]]}
    _provider(home, json.dumps(routing))
    bridge = home.view().bridge()
    assert bridge is not None
    assert bridge.providers[0].routing_policy == routing


def test_a_corruption_is_named_without_its_content(home: Home) -> None:
    home.set(0, changed_at="12345-06-07")
    with pytest.raises(CorruptLedger) as caught:
        home.view()
    assert "12345" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_view_is_whole_again_when_the_row_is(home: Home) -> None:
    home.set(0, changed_at="infinity")
    with pytest.raises(CorruptLedger):
        home.view()
    home.set(0, changed_at="now")
    assert len(home.view().peers().rows) == 3


# What is remembered.


def test_a_current_table_is_handed_out_again(home: Home) -> None:
    first = home.view().peers()
    home.set(1, last_heartbeat_at="now")
    assert home.view().peers() is first


def test_a_table_is_shared_by_the_nodes_of_a_domain(home: Home) -> None:
    first = home.view().peers()
    assert home.ledger.view(home.nodes[1], home.domain, in_time()).peers() is first


def test_a_new_revision_keeps_the_rows_that_did_not_change(home: Home) -> None:
    before = {row.node_id: row for row in home.view().peers().rows}
    home.set(1, public_key=b"new")
    after = {row.node_id: row for row in home.view().peers().rows}
    assert [after[node] is before[node] for node in home.nodes] == [True, False, True]


def test_a_deregistered_peer_is_gone_at_once(home: Home) -> None:
    home.view()
    home.hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", home.nodes[2])
    assert {row.node_id for row in home.view().peers().rows} == set(home.nodes[:2])


def test_a_node_that_moved_is_not_in_its_old_domain(home: Home) -> None:
    home.view()
    new_home = home.hand.domain()
    home.set(0, domain_id=new_home)
    with pytest.raises(NodeNotFound):
        home.view()
    rows = home.ledger.view(home.nodes[0], new_home, in_time()).peers().rows
    assert [row.node_id for row in rows] == [home.nodes[0]]


def test_more_domains_than_may_be_held_are_shown_right(home: Home) -> None:
    small = PostgresLedger(home.pool, held_rows=4)
    domains = [home.hand.domain() for _ in range(3)]
    nodes = {domain: [home.hand.node(domain, n) for n in range(3)] for domain in domains}
    for _ in range(2):
        for domain in domains:
            rows = small.view(nodes[domain][0], domain, in_time()).peers().rows
            assert {row.node_id for row in rows} == set(nodes[domain])


def test_a_domain_larger_than_may_be_held_is_held_while_it_is_the_last(home: Home) -> None:
    small = PostgresLedger(home.pool, held_rows=1)
    first = small.view(home.nodes[0], home.domain, in_time()).peers()
    assert small.view(home.nodes[0], home.domain, in_time()).peers() is first


def test_a_revision_never_names_two_sets_of_rows(home: Home) -> None:
    """Many readers, a writer that does not stop: what a revision shows is always the same."""
    done = threading.Event()

    def write() -> None:
        with closing(Hand(home.hand.dsn)) as hand:
            for number in range(150):
                hand.run(
                    "UPDATE plexsphere.nodes SET public_key = %s WHERE id = ANY (%s::uuid[])",
                    number.to_bytes(32, "big"),
                    [str(node) for node in home.nodes],
                )
        done.set()

    def read() -> dict[UUID, set[tuple[PeerRow, ...]]]:
        seen: dict[UUID, set[tuple[PeerRow, ...]]] = {}
        while not done.is_set():
            table = home.view().peers()
            seen.setdefault(table.revision, set()).add(table.rows)
        return seen

    with ThreadPoolExecutor(5) as threads:
        readers = [threads.submit(read) for _ in range(4)]
        threads.submit(write).result()
        merged: dict[UUID, set[tuple[PeerRow, ...]]] = {}
        for reader in readers:
            for revision, tables in reader.result().items():
                merged.setdefault(revision, set()).update(tables)
    assert len(merged) > 10
    assert [len(tables) for tables in merged.values()] == [1] * len(merged)
    # One statement wrote all keys, so no table mixes two of its runs.
    mixed = [rows for (rows,) in merged.values() if len({row.public_key for row in rows}) > 1]
    assert len(mixed) <= 1  # the keys the Nodes came with


def _provider(home: Home, routing_policy: str) -> None:
    resource = uuid4()
    home.hand.insert("bridge_resources", id=resource, node_id=home.nodes[0])
    home.hand.insert(
        "bridge_user_access_providers",
        bridge_resource_id=resource,
        slug="staff",
        kind="wireguard",
        interface_name="wg0",
        listen_port=1,
        max_peers=1,
        auth_secret_ref="secret:project/p/staff",
        routing_policy=routing_policy,
    )
