"""What every HeartbeatSink promises (``composer.ports.HeartbeatSink``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import ClockSkew, DatastoreUnavailable, NodeNotFound
from composer.heartbeat import MAX_CLOCK_SKEW
from composer.ports import HeartbeatSink
from tests.factories import node_id
from tests.ports.deadlines import expired, in_time

NODE = node_id(1)
# Real clocks go on between a test's look at one and the sink's.
MARGIN = timedelta(seconds=5)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


class HeartbeatFacts(Protocol):
    """One Node, never heard of, and the clock that ``sink`` goes by."""

    sink: HeartbeatSink

    def now(self) -> datetime: ...

    def heard(self, node: UUID) -> datetime | None:
        """When the Node was last heard of."""
        ...

    def remove(self, node: UUID) -> None:
        """Deregister the Node."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class HeartbeatSinkSuite:
    """Override ``facts`` with a fixture that knows ``NODE`` and no other."""

    @pytest.fixture
    def facts(self) -> HeartbeatFacts:
        raise NotImplementedError

    def test_a_heartbeat_is_noted_at_the_moment_that_is_told(self, facts: HeartbeatFacts) -> None:
        before = facts.now()
        told = facts.sink.heartbeat(NODE, facts.now(), in_time())
        assert before <= told <= facts.now()
        assert facts.heard(NODE) == told

    def test_the_moment_is_in_utc(self, facts: HeartbeatFacts) -> None:
        assert facts.sink.heartbeat(NODE, facts.now(), in_time()).tzinfo == UTC

    def test_a_later_heartbeat_is_not_earlier(self, facts: HeartbeatFacts) -> None:
        first, second = (facts.sink.heartbeat(NODE, facts.now(), in_time()) for _ in range(2))
        assert first <= second == facts.heard(NODE)

    @pytest.mark.parametrize("way", [-1, 1], ids=["behind", "ahead"])
    def test_a_clock_almost_too_far_off_is_fine(self, facts: HeartbeatFacts, way: int) -> None:
        client_now = facts.now() + way * (MAX_CLOCK_SKEW - MARGIN)
        told = facts.sink.heartbeat(NODE, client_now, in_time())
        assert told != client_now

    @pytest.mark.parametrize("way", [-1, 1], ids=["behind", "ahead"])
    def test_a_clock_too_far_off_is_told_and_nothing_is_noted(
        self, facts: HeartbeatFacts, way: int
    ) -> None:
        with pytest.raises(ClockSkew):
            facts.sink.heartbeat(NODE, facts.now() + way * (MAX_CLOCK_SKEW + MARGIN), in_time())
        assert facts.heard(NODE) is None

    @pytest.mark.parametrize("far", [datetime(1, 1, 1, tzinfo=UTC), LAST], ids=["first", "last"])
    def test_a_clock_at_the_end_of_time_is_too_far_off(
        self, facts: HeartbeatFacts, far: datetime
    ) -> None:
        with pytest.raises(ClockSkew):
            facts.sink.heartbeat(NODE, far, in_time())

    def test_a_node_that_is_gone_is_not_found(self, facts: HeartbeatFacts) -> None:
        facts.remove(NODE)
        with pytest.raises(NodeNotFound):
            facts.sink.heartbeat(NODE, facts.now(), in_time())

    def test_a_node_that_never_was_is_not_found(self, facts: HeartbeatFacts) -> None:
        with pytest.raises(NodeNotFound):
            facts.sink.heartbeat(node_id(2), facts.now(), in_time())
        assert facts.heard(NODE) is None

    def test_a_store_that_is_away_is_said_to_be(self, facts: HeartbeatFacts) -> None:
        now = facts.now()
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.sink.heartbeat(NODE, now, in_time())

    def test_without_time_left_nothing_is_noted(self, facts: HeartbeatFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.sink.heartbeat(NODE, facts.now(), expired())
        assert facts.heard(NODE) is None
