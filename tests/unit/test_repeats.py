"""Repeated lines: the first of each kind are written, the others are counted, none is lost."""

from __future__ import annotations

import pytest

from server.telemetry import repeats
from server.telemetry.repeats import Repeats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def drop(peer: str, outcome: str = "invalid_mesh_ip", node: str = "n") -> dict[str, str]:
    same = {"addressed_node_id": node, "peer_node_id": peer, "outcome": outcome}
    return {"event": "peer_dropped", "level": "warning", "domain_id": "d", **same}


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_of_each_kind_is_written_and_the_others_are_one_count(clock: Clock) -> None:
    kept = Repeats(1, clock)
    kinds = [drop("a"), drop("b"), drop("a", "missing_key"), drop("a", node="other")]
    assert [kept.admits(kind) for kind in kinds] == [True] * 4
    assert [kept.admits(kind) for kind in [*kinds, drop("a")]] == [False] * 5
    clock.now = 59.9
    assert kept.over() == []
    clock.now = 60.0
    counts = kept.over()
    assert [count["repeated"] for count in counts] == [2, 1, 1, 1]
    assert counts[0] == {
        "event": "peer_dropped",
        "level": "warning",
        "addressed_node_id": "n",
        "peer_node_id": "a",
        "outcome": "invalid_mesh_ip",
        "repeated": 2,
    }
    assert kept.over() == []


def test_after_its_minute_a_kind_is_written_again(clock: Clock) -> None:
    kept = Repeats(1, clock)
    assert kept.admits(drop("a"))
    clock.now = 61.0
    kept.over()
    assert kept.admits(drop("a"))


def test_a_rate_lets_as_many_through(clock: Clock) -> None:
    kept = Repeats(3, clock)
    assert [kept.admits(drop("a")) for _ in range(5)] == [True, True, True, False, False]


def test_lines_that_a_client_cannot_cause_are_always_written(clock: Clock) -> None:
    kept = Repeats(1, clock)
    assert all(kept.admits({"event": "audit_rows_lost", "count": 1}) for _ in range(5))


def test_a_count_is_said_at_the_end_of_the_process(clock: Clock) -> None:
    kept = Repeats(1, clock)
    kept.admits(drop("a"))
    kept.admits(drop("a"))
    assert [count["repeated"] for count in kept.over(all_of_them=True)] == [1]


def test_more_kinds_than_are_counted_push_the_oldest_out(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "MOST_KINDS", 2)
    kept = Repeats(1, clock)
    for peer in ("a", "a", "b", "c"):
        kept.admits(drop(peer))
    assert [count["peer_node_id"] for count in kept.over()] == ["a"]
    assert not kept.admits(drop("c"))
