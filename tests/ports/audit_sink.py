"""The promises of every AuditSink that keeps rows (``composer.audit.AuditSink``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from composer.audit import AuditRow, AuditSink
from tests.factories import node_id

GRANTED = AuditRow(
    relation="node_state.pull",
    outcome="granted",
    subject=f"node:{node_id(1)}",
    object=f"node:{node_id(1)}",
    correlation_id="tick-1",
    digest="ab" * 32,
)
REFUSED = AuditRow(
    relation="node_state.pull",
    outcome="insufficient_relation",
    subject="user:0190b2c4-ops",
    object=f"node:{node_id(2)}",
    correlation_id="tick-2",
)


class AuditFacts(Protocol):
    """Where the rows of ``sink`` end up."""

    sink: AuditSink

    def kept(self) -> Sequence[AuditRow]:
        """Every row that was kept, oldest first, once all that were recorded had their chance."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class AuditSinkSuite:
    """Override ``facts`` with a fixture that starts without any row."""

    @pytest.fixture
    def facts(self) -> AuditFacts:
        raise NotImplementedError

    @pytest.mark.parametrize("row", [GRANTED, REFUSED], ids=["granted", "refused"])
    def test_a_row_is_kept_as_it_was_given(self, facts: AuditFacts, row: AuditRow) -> None:
        facts.sink.record(row)
        assert list(facts.kept()) == [row]

    def test_equal_rows_are_each_kept(self, facts: AuditFacts) -> None:
        for _ in range(3):
            facts.sink.record(GRANTED)
        assert list(facts.kept()) == [GRANTED] * 3

    def test_rows_of_one_thread_are_kept_in_order(self, facts: AuditFacts) -> None:
        rows = [GRANTED, REFUSED, GRANTED, REFUSED, REFUSED]
        for row in rows:
            facts.sink.record(row)
        assert list(facts.kept()) == rows

    def test_a_subject_outside_ascii_is_kept(self, facts: AuditFacts) -> None:
        row = AuditRow("node_state.pull", "granted", "user:zoë", "node:x", "c", None)
        facts.sink.record(row)
        assert list(facts.kept()) == [row]

    def test_a_store_that_is_away_fails_nobody(self, facts: AuditFacts) -> None:
        facts.go_away()
        assert facts.sink.record(GRANTED) is None  # type: ignore[func-returns-value]
