"""The values that a view of the ledger shows, decodes and refuses, beyond the port's suite."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from composer.errors import CorruptLedger
from composer.peers import PeerRow
from tests.integration.ledger_places import Home
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"


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


@pytest.mark.parametrize(
    "host", ["relay.example", "fd00::1", "10.0.0.1", "UPPER_score", "::ffff:1.2.3.4"]
)
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
    migrated_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = migrated_database()
    moment = datetime(1890, 1, 1, 1, 2, 3, 400000, tzinfo=UTC)
    with closing(Home(dsn)) as home, closing(Home(dsn)) as other:  # its pool connects below
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
