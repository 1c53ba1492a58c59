"""The promises of every BodyHistory (``server.http.body_history.BodyHistory``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from server.http.body_history import BodyHistory
from tests.factories import node_id

A, B = "aa" * 32, "bb" * 32


class BodyFacts(Protocol):
    """Where the bodies of ``history`` end up; ``node`` is there, as ``node:<id>``."""

    history: BodyHistory
    node: str

    def kept(self) -> Sequence[tuple[str, bytes]]:
        """Digest and body of everything kept of ``node``, oldest first."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class BodyHistorySuite:
    """Override ``facts`` with a fixture that starts without any body."""

    @pytest.fixture
    def facts(self) -> BodyFacts:
        raise NotImplementedError

    @pytest.mark.parametrize("body", [b"{}", b"\0\xff" * 500, b""], ids=["json", "bytes", "empty"])
    def test_the_very_bytes_are_kept(self, facts: BodyFacts, body: bytes) -> None:
        facts.history.keep(facts.node, A, body)
        assert list(facts.kept()) == [(A, body)]

    def test_a_digest_is_kept_once(self, facts: BodyFacts) -> None:
        for _ in range(3):
            facts.history.keep(facts.node, A, b"a")
        assert list(facts.kept()) == [(A, b"a")]

    def test_bodies_are_kept_in_order(self, facts: BodyFacts) -> None:
        facts.history.keep(facts.node, B, b"b")
        facts.history.keep(facts.node, A, b"a")
        assert list(facts.kept()) == [(B, b"b"), (A, b"a")]

    def test_the_body_of_another_node_is_not_this_ones(self, facts: BodyFacts) -> None:
        facts.history.keep(f"node:{node_id(77)}", A, b"a")
        facts.history.keep(facts.node, B, b"b")
        assert list(facts.kept()) == [(B, b"b")]

    def test_a_store_that_is_away_fails_nobody(self, facts: BodyFacts) -> None:
        facts.go_away()
        assert facts.history.keep(facts.node, A, b"a") is None  # type: ignore[func-returns-value]
