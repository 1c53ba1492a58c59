"""Every type of row of the outbox, and that SpiceDB has something to take of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files

import psycopg2
import pytest

from composer.entries import METADATA, EntryRow
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
TYPES = {
    *("domain_created", "domain_deleted", "peer_added", "peer_removed"),
    *("role_granted", "role_revoked", "tuples_mended"),
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
        for entry in (room.joinpath("schema.sql"), *room.joinpath("queries").iterdir())
    ]
    inserts = re.findall(r"INSERT INTO plexsphere\.outbox\b[^;]*", "\n".join(texts))
    return {name for text in inserts for name in re.findall(r"'([a-z]+(?:_[a-z]+)+ed)'", text)}


def test_every_row_has_something_for_spicedb_to_take_and_waits(
    hand: Hand, made: Registries
) -> None:
    everything_happens(made, hand.dsn)
    rows = hand.run(
        "SELECT type, bool_and(tuples <> '[]' AND drained_at IS NULL)"
        " FROM plexsphere.outbox GROUP BY type"
    )
    assert dict(rows) == dict.fromkeys(TYPES, True)
    assert types_written() == TYPES


def test_no_row_without_tuples_is_left_to_wait(hand: Hand) -> None:
    with pytest.raises(psycopg2.IntegrityError, match="outbox_waits_with_tuples"):
        hand.run("INSERT INTO plexsphere.outbox (type, object) VALUES ('idle', 'node:x')")
