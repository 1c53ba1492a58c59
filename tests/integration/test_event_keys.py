"""Event keys on real Postgres: conformance, and the key that a new Domain gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from composer.errors import DomainSlugConflict
from composer.registry import NewDomain
from db.connections import ReadSession, WriteSession
from db.domains import PostgresDomainRegistry
from db.event_keys import PostgresEventKeys
from db.pool import Pool, read_pool, write_pool
from server.events.keys import EncryptedEventKeys
from tests.factories import DOMAIN, WRITE
from tests.integration.ledger_places import Gates
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time
from tests.ports.event_keys import OTHER_DOMAIN, EventKeysSuite

pytest_plugins = "tests.integration.ledger_fixtures"

SOURCE = EncryptedEventKeys(bytes(32))
NORTH = NewDomain("Plant North", "plant-north", "10.42.0.0/16")


@pytest.fixture
def writes(ledger_dsn: str) -> Iterator[Pool[WriteSession]]:
    made = write_pool(ledger_dsn, size=8, statement_timeout=5.0, lock_timeout=5.0)
    yield made
    made.close()


@pytest.fixture
def reads(ledger_dsn: str) -> Iterator[Pool[ReadSession]]:
    made = read_pool(ledger_dsn, size=8, statement_timeout=5.0)
    yield made
    made.close()


class EventKeysOnPostgres:
    def __init__(self, gates: Gates, event_keys: PostgresEventKeys) -> None:
        self.event_keys = event_keys
        self.go_away = gates.shut


class TestPostgresEventKeys(EventKeysSuite):
    @pytest.fixture
    def facts(
        self,
        emptied: Hand,
        gates: Gates,
        reads: Pool[ReadSession],
        writes: Pool[WriteSession],
    ) -> EventKeysOnPostgres:
        for domain in (DOMAIN, OTHER_DOMAIN):
            emptied.insert("domains", id=domain)
        return EventKeysOnPostgres(gates, PostgresEventKeys(reads, writes, SOURCE))


def domains_with_keys(hand: Hand) -> list[tuple[object, ...]]:
    return hand.run(
        "SELECT d.slug, count(k.key_id) FROM plexsphere.domains AS d"
        " LEFT JOIN plexsphere.event_keys AS k ON k.domain_id = d.id GROUP BY d.slug ORDER BY 1"
    )


def test_a_domain_is_created_with_its_key(
    emptied: Hand, reads: Pool[ReadSession], writes: Pool[WriteSession]
) -> None:
    registry = PostgresDomainRegistry(writes, event_keys=SOURCE)
    created = registry.create(NORTH, None, WRITE, in_time())
    assert created.domain_id.version == 7
    assert domains_with_keys(emptied) == [("plant-north", 1)]
    with pytest.raises(DomainSlugConflict):
        registry.create(NORTH, None, WRITE, in_time())
    assert domains_with_keys(emptied) == [("plant-north", 1)]
    registry.delete(created.domain_id, WRITE, in_time())
    assert emptied.run("SELECT key_id FROM plexsphere.event_keys") == []


def test_without_a_kek_a_domain_is_created_without_a_key(
    emptied: Hand, writes: Pool[WriteSession]
) -> None:
    PostgresDomainRegistry(writes).create(NORTH, None, WRITE, in_time())
    assert domains_with_keys(emptied) == [("plant-north", 0)]
