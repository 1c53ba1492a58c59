"""The ``reachability`` block: the Addressed Node's own liveness columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from composer.errors import CorruptLedger
from composer.reachability import ZERO_TIME, ReachabilityRow, reachability
from composer.snapshot import Reachability
from tests.factories import EPOCH

LATER = EPOCH + timedelta(hours=1, microseconds=250_000)


@pytest.mark.parametrize("state", ["healthy", "stale", "unreachable", ""])
def test_the_columns_are_projected(state: str) -> None:
    row = ReachabilityRow(state, LATER, EPOCH)
    assert reachability(row) == Reachability(state, LATER, EPOCH)


def test_a_node_never_heard_of_has_the_zero_time_as_its_last_heartbeat() -> None:
    found = reachability(ReachabilityRow("", None, EPOCH))
    assert found.last_heartbeat_at == datetime(1, 1, 1, tzinfo=UTC)


def test_the_zero_time_is_utc() -> None:
    assert ZERO_TIME.utcoffset() == timedelta(0)


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    zoned = LATER.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert reachability(ReachabilityRow("stale", zoned, EPOCH)).last_heartbeat_at == LATER


@pytest.mark.parametrize("state", ["never_reported", "Healthy", "healthy ", "offline", "null"])
def test_a_state_outside_the_set_fails_the_pull(state: str) -> None:
    with pytest.raises(CorruptLedger, match="reachability_state"):
        reachability(ReachabilityRow(state, EPOCH, EPOCH))
