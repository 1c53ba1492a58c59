"""The promises of every DomainAuditReader (``composer.audit.DomainAuditReader``)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import pytest

from composer.audit import AuditQuery, AuditRecord, DomainAuditReader
from composer.errors import DatastoreUnavailable
from tests.factories import DOMAIN, EPOCH
from tests.ports.deadlines import expired, in_time

OTHER = UUID(int=2**100)
ANYTHING = AuditQuery()


def record(seq: int, **fields: Any) -> AuditRecord:
    """The ``seq``-th row, a minute after the one before."""
    expected: dict[str, Any] = {
        "occurred_at": EPOCH + timedelta(minutes=seq),
        "relation": "node_state.pull",
        "outcome": "granted",
        "subject": "node:x",
        "object": "node:x",
        "correlation_id": f"c-{seq}",
        "digest": "ab" * 32,
    }
    return AuditRecord(seq, **(expected | fields))


ROWS = [
    record(3),
    record(5, outcome="insufficient_relation", subject="user:zoë", digest=None),
    record(6, relation="domain.read", object="domain:y", correlation_id="", digest=None),
    record(9),
]


class TrailFacts(Protocol):
    """Where the rows live that ``reader`` reads."""

    reader: DomainAuditReader

    def put(self, domain: UUID | None, *rows: AuditRecord) -> None:
        """Rows of the Domain, or of none."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class DomainAuditReaderSuite:
    """Override ``facts`` with a fixture that starts without any row."""

    @pytest.fixture
    def facts(self) -> TrailFacts:
        raise NotImplementedError

    def page(
        self, facts: TrailFacts, query: AuditQuery = ANYTHING, after: int = 0, limit: int = 100
    ) -> list[AuditRecord]:
        return list(facts.reader.page(DOMAIN, query, after, limit, in_time()))

    def test_rows_come_as_they_are_in_sequence(self, facts: TrailFacts) -> None:
        facts.put(DOMAIN, *ROWS)
        assert self.page(facts) == ROWS

    def test_rows_of_another_domain_and_of_none_are_left_out(self, facts: TrailFacts) -> None:
        facts.put(OTHER, record(1))
        facts.put(None, record(2))
        facts.put(DOMAIN, *ROWS)
        assert self.page(facts) == ROWS

    def test_a_domain_without_rows_has_none(self, facts: TrailFacts) -> None:
        facts.put(OTHER, record(1))
        assert self.page(facts) == []

    def test_pages_follow_each_other_without_a_gap(self, facts: TrailFacts) -> None:
        facts.put(DOMAIN, *ROWS)
        assert self.page(facts, limit=2) == ROWS[:2]
        assert self.page(facts, after=5, limit=2) == ROWS[2:]
        assert self.page(facts, after=9) == []

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            (AuditQuery(relation="domain.read"), [6]),
            (AuditQuery(outcome="insufficient_relation"), [5]),
            (AuditQuery(subject="user:zoë"), [5]),
            (AuditQuery(object="node:x"), [3, 5, 9]),
            (AuditQuery(correlation_id="c-9"), [9]),
            (AuditQuery(since=EPOCH + timedelta(minutes=5)), [5, 6, 9]),
            (AuditQuery(until=EPOCH + timedelta(minutes=6)), [3, 5]),
            (AuditQuery(object="node:x", outcome="granted"), [3, 9]),
            (AuditQuery(relation="node"), []),
        ],
        ids=str,
    )
    def test_rows_are_filtered(
        self, facts: TrailFacts, query: AuditQuery, expected: list[int]
    ) -> None:
        facts.put(DOMAIN, *ROWS)
        assert [row.seq for row in self.page(facts, query)] == expected

    def test_filters_and_pages_go_together(self, facts: TrailFacts) -> None:
        facts.put(DOMAIN, *ROWS)
        found = self.page(facts, AuditQuery(object="node:x"), after=3, limit=1)
        assert [row.seq for row in found] == [5]

    def test_a_store_that_is_away_does_not_say_that_there_are_no_rows(
        self, facts: TrailFacts
    ) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            self.page(facts)

    def test_without_time_left_nothing_is_read(self, facts: TrailFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.reader.page(DOMAIN, ANYTHING, 0, 1, expired())
