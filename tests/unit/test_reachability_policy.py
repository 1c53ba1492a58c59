"""A Domain's own reachability policy: three durations that agree, or none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from composer.errors import InvalidReachabilityPolicy
from composer.reachability import (
    DEFAULT_POLICY,
    MAX_DURATION,
    MIN_INTERVAL,
    PAUSE_AFTER,
    ReachabilityPolicy,
    reachability_policy,
)


def seconds(*numbers: float | None) -> list[timedelta | None]:
    return [None if seconds is None else timedelta(seconds=seconds) for seconds in numbers]


def test_the_services_own_numbers() -> None:
    assert ReachabilityPolicy(*seconds(30, 90, 300)) == DEFAULT_POLICY  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [(0, 0, 0), (None, None, None), (0, None, 0)])
def test_all_zero_or_absent_means_the_services_numbers(numbers: tuple[float | None, ...]) -> None:
    assert reachability_policy(*seconds(*numbers)) is None


@pytest.mark.parametrize(
    "numbers", [(10, 30, 60), (30, 90, 300), (600, 1800, 3600), (10, 1800, 3600), (10.5, 31.5, 63)]
)
def test_a_policy_within_the_rules_is_taken(numbers: tuple[float, ...]) -> None:
    taken = reachability_policy(*seconds(*numbers))
    assert taken == ReachabilityPolicy(*seconds(*numbers))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        *[(numbers, "none") for numbers in ((30, 0, 0), (0, 90, 0), (0, 0, 300), (30, 90, None))],
        ((9.999999, 90, 300), "below 10 s"),
        ((-30, 90, 300), "below 10 s"),
        ((30, 89.999999, 300), "three heartbeat intervals"),
        ((30, 90, 179.999999), "twice"),
        ((600, 1800.000001, 3600.000002), "one hour"),
        ((10, 30, 3600.000001), "one hour"),
        ((30, -90, 300), "three"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(
    numbers: tuple[float | None, ...], word: str
) -> None:
    with pytest.raises(InvalidReachabilityPolicy, match=word):
        reachability_policy(*seconds(*numbers))


def test_no_policy_makes_a_node_worse_for_heartbeats_missed_in_an_unnoticed_pause() -> None:
    shortest_stale = 3 * MIN_INTERVAL
    assert shortest_stale - MIN_INTERVAL >= PAUSE_AFTER
    assert shortest_stale < MAX_DURATION
