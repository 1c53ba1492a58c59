"""The self-test of `make breaking` is as wide as it says it is."""

from __future__ import annotations

from tests.contract import test_breaking_answers, test_breaking_requests, test_breaking_surface
from tests.contract.breaking_edits import Row

MODULES = (test_breaking_answers, test_breaking_requests, test_breaking_surface)
BREAKING: list[Row] = [row for module in MODULES for row in module.BREAKING]
HARMLESS: list[Row] = [row for module in MODULES for row in module.HARMLESS]
LEAST = 30


def test_at_least_thirty_edits_break_and_thirty_break_nobody() -> None:
    for rows in (BREAKING, HARMLESS):
        assert len({str(row) for row in rows}) >= LEAST
