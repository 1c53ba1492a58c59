"""The promises of every HeartbeatSink (``composer.heartbeat.HeartbeatSink``)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import ClockSkew, CredentialEnded, DatastoreUnavailable, NodeNotFound
from composer.heartbeat import MAX_CLOCK_SKEW, HeartbeatResult, HeartbeatSink
from composer.identity import Credential, Principal, PrincipalKind
from tests.factories import agent_of, node_id
from tests.ports.deadlines import expired, in_time

NODE = node_id(1)
# Real clocks go on between a test's look at one and the sink's.
MARGIN = timedelta(seconds=5)
START = datetime(2026, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


class HeartbeatFacts(Protocol):
    """One Node, without a heartbeat, and the clock that ``sink`` goes by."""

    sink: HeartbeatSink

    def now(self) -> datetime: ...

    def last_heartbeat(self, node: UUID) -> datetime | None:
        """The moment of the last heartbeat; None before the first."""
        ...

    def carry(self, node: UUID, token: str) -> None:
        """From now on the Node carries this ZedToken."""
        ...

    def cover(
        self, node: UUID, digests: tuple[bytes, ...], tokens_not_before: datetime | None
    ) -> None:
        """From now on the Node's row covers these credentials."""
        ...

    def remove(self, node: UUID) -> None:
        """Deregister the Node."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


def beat(facts: HeartbeatFacts, client_now: datetime | None = None) -> datetime | None:
    return facts.sink.heartbeat(
        agent_of(1), NODE, client_now or facts.now(), None, in_time()
    ).accepted_at


class HeartbeatSinkSuite:
    """Override ``facts`` with a fixture that knows ``NODE`` and no other."""

    @pytest.fixture
    def facts(self) -> HeartbeatFacts:
        raise NotImplementedError

    def test_a_heartbeat_is_noted_at_the_moment_that_is_told(self, facts: HeartbeatFacts) -> None:
        before = facts.now()
        answer = beat(facts)
        assert answer is not None
        assert before <= answer <= facts.now()
        assert facts.last_heartbeat(NODE) == answer

    def test_the_moment_is_in_utc(self, facts: HeartbeatFacts) -> None:
        answer = beat(facts)
        assert answer is not None and answer.tzinfo == UTC

    def test_a_later_heartbeat_is_not_earlier(self, facts: HeartbeatFacts) -> None:
        first, second = beat(facts), beat(facts)
        assert first is not None and second is not None
        assert first <= second == facts.last_heartbeat(NODE)

    @pytest.mark.parametrize("way", [-1, 1], ids=["behind", "ahead"])
    def test_a_clock_almost_too_far_off_is_fine(self, facts: HeartbeatFacts, way: int) -> None:
        client_now = facts.now() + way * (MAX_CLOCK_SKEW - MARGIN)
        assert beat(facts, client_now) not in (None, client_now)

    @pytest.mark.parametrize("way", [-1, 1], ids=["behind", "ahead"])
    def test_a_clock_too_far_off_is_told_and_nothing_is_noted(
        self, facts: HeartbeatFacts, way: int
    ) -> None:
        with pytest.raises(ClockSkew):
            beat(facts, facts.now() + way * (MAX_CLOCK_SKEW + MARGIN))
        assert facts.last_heartbeat(NODE) is None

    @pytest.mark.parametrize("far", [datetime(1, 1, 1, tzinfo=UTC), LAST], ids=["first", "last"])
    def test_a_clock_at_the_end_of_time_is_too_far_off(
        self, facts: HeartbeatFacts, far: datetime
    ) -> None:
        with pytest.raises(ClockSkew):
            beat(facts, far)

    @pytest.mark.parametrize("last_token", [None, "an earlier one"])
    def test_a_token_that_was_not_decided_at_is_told_and_nothing_is_noted(
        self, facts: HeartbeatFacts, last_token: str | None
    ) -> None:
        facts.carry(NODE, "later")
        result = facts.sink.heartbeat(agent_of(1), NODE, facts.now(), last_token, in_time())
        assert (result, facts.last_heartbeat(NODE)) == (HeartbeatResult(None, "later"), None)

    def test_a_token_that_was_decided_at_is_as_good_as_none(self, facts: HeartbeatFacts) -> None:
        facts.carry(NODE, "later")
        result = facts.sink.heartbeat(agent_of(1), NODE, facts.now(), "later", in_time())
        assert result == HeartbeatResult(facts.last_heartbeat(NODE), "later")
        assert result.accepted_at is not None

    def test_who_has_to_decide_again_learns_nothing_of_the_clock(
        self, facts: HeartbeatFacts
    ) -> None:
        facts.carry(NODE, "later")
        result = facts.sink.heartbeat(agent_of(1), NODE, LAST, None, in_time())
        assert result == HeartbeatResult(None, "later")

    @pytest.mark.parametrize(
        "credential",
        [
            Credential(secret_key_digest=b"3" * 32),
            Credential(issued_at=START),
            Credential(issued_at=None),
        ],
        ids=["key", "token", "token without iat"],
    )
    def test_a_credential_that_has_ended_notes_nothing_whatever_the_clock(
        self, facts: HeartbeatFacts, credential: Credential
    ) -> None:
        facts.cover(NODE, (b"1" * 32, b"2" * 32), START + timedelta(seconds=1))
        principal = replace(agent_of(1), credential=credential)
        for client_now in (facts.now(), LAST):
            with pytest.raises(CredentialEnded):
                facts.sink.heartbeat(principal, NODE, client_now, None, in_time())
        assert facts.last_heartbeat(NODE) is None

    @pytest.mark.parametrize(
        "credential",
        [Credential(secret_key_digest=b"2" * 32), Credential(issued_at=START)],
        ids=["key", "token"],
    )
    def test_a_credential_that_the_row_covers_is_noted(
        self, facts: HeartbeatFacts, credential: Credential
    ) -> None:
        facts.cover(NODE, (b"1" * 32, b"2" * 32), START)
        principal = replace(agent_of(1), credential=credential)
        answer = facts.sink.heartbeat(principal, NODE, facts.now(), None, in_time())
        assert answer.accepted_at == facts.last_heartbeat(NODE) is not None

    def test_the_row_says_nothing_of_a_stand_ins_credential(self, facts: HeartbeatFacts) -> None:
        facts.cover(NODE, (), START + timedelta(days=1))
        stand_in = Principal(PrincipalKind.SERVICE, "stand-in", Credential(issued_at=START))
        answer = facts.sink.heartbeat(stand_in, NODE, facts.now(), None, in_time())
        assert answer.accepted_at is not None

    def test_a_node_that_is_gone_is_not_found_whatever_the_clock(
        self, facts: HeartbeatFacts
    ) -> None:
        facts.remove(NODE)
        with pytest.raises(NodeNotFound):
            beat(facts, LAST)

    def test_a_node_that_is_gone_is_not_found(self, facts: HeartbeatFacts) -> None:
        facts.remove(NODE)
        with pytest.raises(NodeNotFound):
            beat(facts)

    def test_a_node_that_never_was_is_not_found(self, facts: HeartbeatFacts) -> None:
        with pytest.raises(NodeNotFound):
            facts.sink.heartbeat(agent_of(1), node_id(2), facts.now(), None, in_time())
        assert facts.last_heartbeat(NODE) is None

    def test_a_store_that_is_away_is_said_to_be(self, facts: HeartbeatFacts) -> None:
        now = facts.now()
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            beat(facts, now)

    def test_without_time_left_nothing_is_noted(self, facts: HeartbeatFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.sink.heartbeat(agent_of(1), NODE, facts.now(), None, expired())
        assert facts.last_heartbeat(NODE) is None
