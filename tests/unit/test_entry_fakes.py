"""The fake of the EntryStore keeps what the port promises."""

from __future__ import annotations

from uuid import UUID

import pytest

from composer.entries import EntryRow
from composer.errors import DatastoreUnavailable
from tests.factories import DOMAIN
from tests.node_fakes import FakeEntryStore
from tests.ports.entry_store import NODE, OTHER, QUOTA, EntryStoreSuite


class EntriesInADict:
    def __init__(self) -> None:
        self.store = FakeEntryStore({NODE.id: DOMAIN, OTHER.id: DOMAIN}, QUOTA)

    def shown(self, node: UUID) -> set[EntryRow]:
        return {row for place, row in self.store.rows.items() if place[0] == node}

    def events(self, node: UUID) -> int:
        return self.store.events[node]

    def remove_node(self, node: UUID) -> None:
        del self.store.known[node]

    def go_away(self) -> None:
        self.store.fails = DatastoreUnavailable("away")


class TestFakeEntryStore(EntryStoreSuite):
    @pytest.fixture
    def facts(self) -> EntriesInADict:
        return EntriesInADict()
