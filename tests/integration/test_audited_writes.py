"""Each write of the ledger and its audit row are one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from composer.entries import METADATA, REPORT, EntryRow
from composer.errors import (
    ComposerError,
    DomainNotEmpty,
    EntryNotFound,
    EntryQuotaExceeded,
    IdempotencyKeyConflict,
    NodeNotFound,
    PublicKeyInUse,
)
from composer.identity import AddressedNode, domain_object, node_object
from composer.registry import NewDomain, NewNode
from db.credentials import PostgresNodeCredentials
from db.entries import PostgresEntries
from db.pool import read_pool
from tests.factories import CORRELATION, WRITE, key_bytes, registration
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import Registries, forget, registries
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

NORTH = NewDomain("N", "n", "10.42.0.0/16")
AGAIN = "thing.write_again"


@dataclass(frozen=True)
class Ledger:
    """Every port that writes for a request, with room for one entry of a kind."""

    hand: Hand
    registries: Registries
    entries: PostgresEntries
    credentials: PostgresNodeCredentials

    def create(self, key: str | None = "k", domain: NewDomain = NORTH) -> UUID:
        return self.registries.domains.create(domain, key, WRITE, in_time()).domain_id

    def register(self, home: UUID, number: int = 1, name: str = "") -> AddressedNode:
        wanted = registration(NewNode(key_bytes(number), name), f"k{number}")
        node = self.registries.nodes.register(home, wanted, WRITE, in_time())
        return AddressedNode(node.node_id, home, None)

    def rotate(self, node: AddressedNode, number: int) -> None:
        self.registries.nodes.rotate_key(node.id, key_bytes(number), WRITE, in_time())

    def put(self, node: AddressedNode, kind: str, key: str = "a") -> None:
        self.entries.put(node, EntryRow(kind, key, "1"), WRITE, in_time())

    def remove(self, node: AddressedNode, kind: str) -> None:
        self.entries.remove(node, kind, "a", WRITE, in_time())

    def rows(self) -> list[tuple[Any, ...]]:
        """The audit rows since the last call: relation, object and Domain."""
        found = self.hand.run(
            "WITH taken AS (DELETE FROM plexsphere.audit_rows RETURNING *)"
            " SELECT relation, object, domain_id::text, outcome, subject, correlation_id"
            " FROM taken ORDER BY seq"
        )
        assert {row[3:] for row in found} <= {("granted", "user:ada", CORRELATION)}
        return [row[:3] for row in found]


@pytest.fixture
def ledger(emptied: Hand) -> Iterator[Ledger]:
    forget(emptied)
    reads = read_pool(emptied.dsn, size=1, statement_timeout=5.0)
    with registries(emptied.dsn) as both:
        made = Ledger(
            emptied,
            both,
            PostgresEntries(both.pool, report_quota=1, entry_quota=1),
            PostgresNodeCredentials(reads, both.pool),
        )
        made.rows()
        yield made
    reads.close()


def test_a_domains_writes_and_their_repeats_have_a_row_each(ledger: Ledger) -> None:
    home = ledger.create()
    assert ledger.create() == home
    for _ in range(2):
        ledger.registries.domains.delete(home, WRITE, in_time())
    place = (domain_object(home), str(home))
    assert ledger.rows() == [
        (relation, *place) for relation in (WRITE.relation, AGAIN, *[WRITE.relation] * 2)
    ]


def test_a_nodes_writes_and_those_that_change_nothing_have_a_row_each(ledger: Ledger) -> None:
    home = ledger.create()
    ledger.rows()
    node = ledger.register(home)
    ledger.register(home)
    for _ in range(2):
        ledger.rotate(node, 2)
    for kind in (METADATA, REPORT):
        for _ in range(2):
            ledger.put(node, kind)
        ledger.remove(node, kind)
    ledger.credentials.rotate_secret_key(node.id, b"1" * 32, WRITE, in_time())
    ledger.credentials.record_token(node.id, WRITE, in_time())
    ledger.credentials.revoke(node.id, WRITE, in_time())
    for _ in range(2):
        ledger.registries.nodes.deregister(node.id, WRITE, in_time())
    names = [WRITE.relation, AGAIN, *[WRITE.relation] * 13]
    assert ledger.rows() == [(name, node_object(node.id), str(home)) for name in names]


def test_what_is_refused_has_no_row(ledger: Ledger) -> None:
    home = ledger.create()
    node, _ = ledger.register(home), ledger.register(home, 2)
    for kind in (METADATA, REPORT):
        ledger.put(node, kind)
    nobody = AddressedNode(UUID(int=9), home, None)
    ledger.rows()
    refused: list[tuple[type[ComposerError], Any]] = [
        (IdempotencyKeyConflict, lambda: ledger.create("k", NewDomain("S", "s", "10.43.0.0/16"))),
        (DomainNotEmpty, lambda: ledger.registries.domains.delete(home, WRITE, in_time())),
        (IdempotencyKeyConflict, lambda: ledger.register(home, 1, "other")),
        (PublicKeyInUse, lambda: ledger.rotate(node, 2)),
        (NodeNotFound, lambda: ledger.rotate(nobody, 3)),
        (NodeNotFound, lambda: ledger.put(nobody, METADATA)),
        (EntryQuotaExceeded, lambda: ledger.put(node, METADATA, "b")),
        (EntryNotFound, lambda: (ledger.remove(node, METADATA), ledger.remove(node, METADATA))),
        (NodeNotFound, lambda: ledger.credentials.revoke(nobody.id, WRITE, in_time())),
    ]
    for error, write in refused:
        with pytest.raises(error):
            write()
    assert ledger.rows() == [(WRITE.relation, node_object(node.id), str(home))]  # the removed entry


def test_a_write_whose_row_cannot_be_stored_is_not_done(ledger: Ledger) -> None:
    home = ledger.create()
    full = "ALTER TABLE plexsphere.audit_rows ADD CONSTRAINT no_row CHECK (false) NOT VALID"
    ledger.hand.run(full)
    try:
        with pytest.raises(ComposerError):
            ledger.register(home)
    finally:
        ledger.hand.run("ALTER TABLE plexsphere.audit_rows DROP CONSTRAINT no_row")
    assert ledger.hand.run("SELECT count(*) FROM plexsphere.nodes") == [(0,)]
    ledger.register(home)
