"""Every event that the ledger writes: what it says, and whether SpiceDB has something to take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from uuid import UUID

import psycopg2
import pytest

from composer.entries import DATA, METADATA, EntryRow
from composer.identity import PLATFORM, AddressedNode, domain_object, node_object
from composer.registry import NewDomain, NewNode
from db.entries import PostgresEntries
from db.roles import PostgresRoles, RoleChange
from db.tuples import LedgerTuple, TupleLedger
from tests.factories import WRITE, key_bytes, registration
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import Registries, forget, registries
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

OPERATOR = "operator:ann@desk"
# Of each type, whether its rows wait for SpiceDB.
WAITS = {
    "domain_created": True,
    "domain_deleted": True,
    "peer_added": True,
    "peer_removed": True,
    "role_granted": True,
    "role_revoked": True,
    "tuples_mended": True,
    "peer_key_rotated": False,
    "node_state_updated": False,
}


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On an empty ledger."""
    forget(emptied)
    return emptied


@pytest.fixture
def made(hand: Hand) -> Iterator[Registries]:
    with registries(hand.dsn) as both:
        yield both


def new_node(made: Registries) -> AddressedNode:
    domain = made.domains.create(
        NewDomain("N", "n", "10.42.0.0/16"), None, WRITE, in_time()
    ).domain_id
    node = made.nodes.register(
        domain, registration(NewNode(key_bytes(1)), None), WRITE, in_time()
    ).node_id
    return AddressedNode(node, domain, None)


def everything_happens(made: Registries, dsn: str) -> None:
    """To one Domain and one Node, and to the platform."""
    node = new_node(made)
    made.nodes.rotate_key(node.id, key_bytes(2), WRITE, in_time())
    entries = PostgresEntries(made.pool, 8, 8)
    entries.put(node, EntryRow(METADATA, "rack", "7b"), WRITE, in_time())
    entries.remove(node, METADATA, "rack", WRITE, in_time())
    with closing(PostgresRoles(dsn)) as grants, closing(TupleLedger(dsn)) as ledger:
        for object, relation in ((PLATFORM, "manager"), (domain_object(node.domain_id), "viewer")):
            for granted in (True, False):
                names = (object, relation, "user:ann")
                grants.change(RoleChange(*names, granted, OPERATOR, "what"), in_time())
        mallory = LedgerTuple(node_object(node.id), "agent", "user:mallory")
        ledger.repair([mallory], ["what"], OPERATOR)
    made.nodes.deregister(node.id, WRITE, in_time())
    made.domains.delete(node.domain_id, WRITE, in_time())


def types_written() -> set[str]:
    """By the SQL of the ledger."""
    room = files("db")
    texts = [
        entry.read_text(encoding="utf-8")
        for folder in ("migrations", "queries")
        for entry in room.joinpath(folder).iterdir()
    ]
    inserts = re.findall(r"INSERT INTO plexsphere\.outbox\b[^;]*", "\n".join(texts))
    return {name for text in inserts for name in re.findall(r"'([a-z]+(?:_[a-z]+)+ed)'", text)}


def test_a_row_waits_where_spicedb_has_something_to_take_and_no_other_does(
    hand: Hand, made: Registries
) -> None:
    everything_happens(made, hand.dsn)
    rows = hand.run(
        "SELECT type, bool_and(tuples <> '[]'), bool_or(tuples <> '[]'),"
        " bool_and(drained_at IS NULL), bool_or(drained_at IS NULL)"
        " FROM plexsphere.outbox GROUP BY type"
    )
    assert {row[0]: row[1:] for row in rows} == {
        name: (is_so,) * 4 for name, is_so in WAITS.items()
    }
    assert types_written() == set(WAITS)


def test_no_row_without_tuples_is_left_to_wait(hand: Hand) -> None:
    with pytest.raises(psycopg2.IntegrityError, match="outbox_waits_with_tuples"):
        hand.run("INSERT INTO plexsphere.outbox (type, object) VALUES ('idle', 'node:x')")


def payloads(hand: Hand, node: UUID) -> list[dict[str, object]]:
    rows = hand.run(
        "SELECT payload FROM plexsphere.outbox"
        " WHERE object = %s AND type = 'node_state_updated' ORDER BY seq",
        node_object(node),
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("kind", [METADATA, DATA])
def test_an_entrys_event_says_all_of_it_and_of_a_removed_one_that_it_is_gone(
    hand: Hand, made: Registries, kind: str
) -> None:
    node, entries = new_node(made), PostgresEntries(made.pool, 8, 8)
    entries.put(node, EntryRow(kind, "motd", 'Grüße\t"1"\U0001f984'), WRITE, in_time())
    entries.put(node, EntryRow(kind, "motd", "", "db"), WRITE, in_time())
    entries.remove(node, kind, "motd", WRITE, in_time())
    named = {"kind": kind, "key": "motd"}
    assert payloads(hand, node.id) == [
        {**named, "removed": False, "value": 'Grüße\t"1"\U0001f984'},
        {**named, "removed": False, "value": "", "workload_tag": "db"},
        {**named, "removed": True},
    ]
