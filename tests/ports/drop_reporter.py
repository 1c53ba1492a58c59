"""The promises of every DropReporter (``composer.snapshot_composer.DropReporter``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from composer.snapshot_composer import DropReporter
from tests.factories import DOMAIN, node_id

OUTCOMES = ["invalid_node_id", "invalid_mesh_ip", "empty_public_key", "malformed_public_key"]


class DropFacts(Protocol):
    """Where the reports of ``reporter`` end up."""

    reporter: DropReporter

    def warnings(self) -> Sequence[dict[str, str]]:
        """The fields of every WARN so far: outcome and the three ids, as text."""
        ...


class DropReporterSuite:
    """Override ``facts`` with a fixture that starts without any warning."""

    @pytest.fixture
    def facts(self) -> DropFacts:
        raise NotImplementedError

    @pytest.mark.parametrize("outcome", OUTCOMES)
    def test_a_dropped_row_is_one_warning_with_the_fields_of_the_seed(
        self, facts: DropFacts, outcome: str
    ) -> None:
        facts.reporter.dropped(outcome, DOMAIN, node_id(1), node_id(2))
        assert list(facts.warnings()) == [
            {
                "outcome": outcome,
                "domain_id": str(DOMAIN),
                "addressed_node_id": str(node_id(1)),
                "peer_node_id": str(node_id(2)),
            }
        ]

    def test_every_report_is_a_warning_of_its_own(self, facts: DropFacts) -> None:
        for number in (2, 3, 3):
            facts.reporter.dropped("invalid_mesh_ip", DOMAIN, node_id(1), node_id(number))
        named = [warning["peer_node_id"] for warning in facts.warnings()]
        assert named == [str(node_id(number)) for number in (2, 3, 3)]
