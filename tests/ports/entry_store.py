"""The promises of every EntryStore (``composer.entries.EntryStore``)."""

from __future__ import annotations

from datetime import UTC
from typing import Protocol
from uuid import UUID

import pytest

from composer.entries import DATA, KINDS, METADATA, REPORT, EntryRow, EntryStore
from composer.errors import (
    DatastoreUnavailable,
    EntryNotFound,
    EntryQuotaExceeded,
    NodeNotFound,
    ReportNotFound,
    ReportQuotaExceeded,
)
from composer.identity import AddressedNode
from tests.factories import WRITE, addressed, node_id
from tests.ports.deadlines import expired, in_time

NODE, OTHER, UNKNOWN = addressed(1), addressed(2), addressed(3)
QUOTA = 3
PLATFORM_KINDS = (METADATA, DATA)


class EntryFacts(Protocol):
    """Two Nodes without entries; ``store`` lets each have ``QUOTA`` of a kind."""

    store: EntryStore

    def shown(self, node: UUID) -> set[EntryRow]:
        """All entries of a Node."""
        ...

    def events(self, node: UUID) -> int:
        """The number of changes that the Node's stream shows."""
        ...

    def remove_node(self, node: UUID) -> None:
        """Deregister a Node."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


def entry(kind: str, key: str = "a", value: str = "1", tag: str | None = None) -> EntryRow:
    """An entry that differs from another in as little as a test needs."""
    return EntryRow(kind, key, value, tag)


class EntryStoreSuite:
    """Override ``facts`` with a fixture that knows ``NODE`` and ``OTHER``."""

    @pytest.fixture
    def facts(self) -> EntryFacts:
        raise NotImplementedError

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_is_put_is_shown_of_its_node_alone(self, facts: EntryFacts, kind: str) -> None:
        moment = facts.store.put(NODE, entry(kind, tag="agent"), WRITE, in_time())
        assert moment.tzinfo == UTC
        assert facts.shown(NODE.id) == {entry(kind, tag="agent")}
        assert facts.shown(OTHER.id) == set()

    def test_kinds_do_not_share_keys(self, facts: EntryFacts) -> None:
        every = {entry(kind, value=kind) for kind in KINDS}
        for row in sorted(every, key=lambda row: row.kind):
            facts.store.put(NODE, row, WRITE, in_time())
        assert facts.shown(NODE.id) == every

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_key_that_is_there_is_replaced_tag_included(
        self, facts: EntryFacts, kind: str
    ) -> None:
        facts.store.put(NODE, entry(kind, tag="agent"), WRITE, in_time())
        facts.store.put(NODE, entry(kind, value="2"), WRITE, in_time())
        assert facts.shown(NODE.id) == {entry(kind, value="2")}

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("value", ["", "é" * 2_048, "\n\t\x01\x7f", "😀\U0010ffff", "' \\ %s"])
    def test_a_text_is_kept_as_it_is(self, facts: EntryFacts, kind: str, value: str) -> None:
        facts.store.put(NODE, entry(kind, value=value), WRITE, in_time())
        assert facts.shown(NODE.id) == {entry(kind, value=value)}

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_removed_entry_is_gone_and_no_other(self, facts: EntryFacts, kind: str) -> None:
        for node, key in ((NODE, "a"), (NODE, "b"), (OTHER, "a")):
            facts.store.put(node, entry(kind, key), WRITE, in_time())
        facts.store.remove(NODE, kind, "a", WRITE, in_time())
        assert facts.shown(NODE.id) == {entry(kind, "b")}
        assert facts.shown(OTHER.id) == {entry(kind, "a")}

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_is_not_there_cannot_be_removed(self, facts: EntryFacts, kind: str) -> None:
        for other in KINDS:
            if other != kind:
                facts.store.put(NODE, entry(other), WRITE, in_time())
        with pytest.raises(ReportNotFound if kind == REPORT else EntryNotFound):
            facts.store.remove(NODE, kind, "a", WRITE, in_time())
        assert len(facts.shown(NODE.id)) == 2

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_quota_is_of_one_kind_on_one_node(self, facts: EntryFacts, kind: str) -> None:
        for number in range(QUOTA):
            facts.store.put(NODE, entry(kind, f"k{number}"), WRITE, in_time())
        with pytest.raises(ReportQuotaExceeded if kind == REPORT else EntryQuotaExceeded):
            facts.store.put(NODE, entry(kind, "one.more"), WRITE, in_time())
        assert len(facts.shown(NODE.id)) == QUOTA
        for other in KINDS:
            if other != kind:
                facts.store.put(NODE, entry(other), WRITE, in_time())
        facts.store.put(OTHER, entry(kind), WRITE, in_time())

    @pytest.mark.parametrize("kind", KINDS)
    def test_at_the_quota_a_key_can_be_replaced_and_a_removed_one_makes_room(
        self, facts: EntryFacts, kind: str
    ) -> None:
        for number in range(QUOTA):
            facts.store.put(NODE, entry(kind, f"k{number}"), WRITE, in_time())
        facts.store.put(NODE, entry(kind, "k0", "2"), WRITE, in_time())
        facts.store.remove(NODE, kind, "k1", WRITE, in_time())
        facts.store.put(NODE, entry(kind, "new"), WRITE, in_time())
        assert {entry.key for entry in facts.shown(NODE.id)} == {"k0", "k2", "new"}

    @pytest.mark.parametrize("kind", PLATFORM_KINDS)
    def test_each_change_of_the_platforms_entries_is_one_event(
        self, facts: EntryFacts, kind: str
    ) -> None:
        facts.store.put(NODE, entry(kind), WRITE, in_time())
        facts.store.put(NODE, entry(kind, value="2"), WRITE, in_time())
        facts.store.put(NODE, entry(kind, value="2", tag="t"), WRITE, in_time())
        facts.store.remove(NODE, kind, "a", WRITE, in_time())
        assert (facts.events(NODE.id), facts.events(OTHER.id)) == (4, 0)

    @pytest.mark.parametrize("kind", PLATFORM_KINDS)
    def test_what_changes_nothing_is_no_event(self, facts: EntryFacts, kind: str) -> None:
        facts.store.put(NODE, entry(kind), WRITE, in_time())
        facts.store.put(NODE, entry(kind), WRITE, in_time())
        with pytest.raises(EntryNotFound):
            facts.store.remove(NODE, kind, "b", WRITE, in_time())
        assert facts.events(NODE.id) == 1

    @pytest.mark.parametrize("kind", PLATFORM_KINDS)
    def test_what_does_not_fit_is_no_event(self, facts: EntryFacts, kind: str) -> None:
        for number in range(QUOTA):
            facts.store.put(NODE, entry(kind, f"k{number}"), WRITE, in_time())
        with pytest.raises(EntryQuotaExceeded):
            facts.store.put(NODE, entry(kind, "one.more"), WRITE, in_time())
        assert facts.events(NODE.id) == QUOTA

    def test_a_report_is_no_event(self, facts: EntryFacts) -> None:
        facts.store.put(NODE, entry(REPORT), WRITE, in_time())
        facts.store.remove(NODE, REPORT, "a", WRITE, in_time())
        assert facts.events(NODE.id) == 0

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_node_that_is_gone_is_not_found_and_nothing_is_written(
        self, facts: EntryFacts, kind: str
    ) -> None:
        facts.remove_node(NODE.id)
        for gone in (NODE, UNKNOWN):
            with pytest.raises(NodeNotFound):
                facts.store.put(gone, entry(kind), WRITE, in_time())
            with pytest.raises(NodeNotFound):
                facts.store.remove(gone, kind, "a", WRITE, in_time())
            assert (facts.shown(gone.id), facts.events(gone.id)) == (set(), 0)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_node_of_another_domain_is_not_found(self, facts: EntryFacts, kind: str) -> None:
        """The role was looked at in the Domain that is named."""
        elsewhere = AddressedNode(NODE.id, node_id(99), None)
        facts.store.put(NODE, entry(kind), WRITE, in_time())
        with pytest.raises(NodeNotFound):
            facts.store.put(elsewhere, entry(kind, value="2"), WRITE, in_time())
        with pytest.raises(NodeNotFound):
            facts.store.remove(elsewhere, kind, "a", WRITE, in_time())
        assert facts.shown(NODE.id) == {entry(kind)}

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_store_that_is_away_is_said_to_be(self, facts: EntryFacts, kind: str) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.store.put(NODE, entry(kind), WRITE, in_time())
        with pytest.raises(DatastoreUnavailable):
            facts.store.remove(NODE, kind, "a", WRITE, in_time())

    @pytest.mark.parametrize("kind", KINDS)
    def test_without_time_left_nothing_is_written(self, facts: EntryFacts, kind: str) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.store.put(NODE, entry(kind), WRITE, expired())
        assert facts.shown(NODE.id) == set()
