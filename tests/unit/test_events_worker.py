"""The turns of the loop that publishes events: its pauses, and how old rows go."""

from __future__ import annotations

from dataclasses import dataclass, field

from composer.errors import EventStreamUnavailable
from server.events.publisher import Published
from server.workers.events import (
    DELETE_EVERY,
    POLL_SECONDS,
    discard_turn,
    events_loop,
    publish_turn,
)
from tests.fakes import FakeClock


@dataclass
class FakePublisher:
    """Old rows are deleted in ``batches``, and then there are none."""

    batches: list[bool] = field(default_factory=list)
    more: bool = False
    is_elected: bool = True
    deletions: int = 0
    fails: Exception | None = None

    def publish(self) -> Published | None:
        if self.fails is not None:
            raise self.fails
        return Published(1, 1, self.more) if self.is_elected else None

    def delete_old(self) -> bool:
        self.deletions += 1
        return bool(self.batches) and self.batches.pop(0)


def test_it_goes_on_at_once_while_there_is_work() -> None:
    publisher = FakePublisher(more=True)
    turn = publish_turn(publisher, FakeClock())
    assert turn() == 0.0
    publisher.more = False
    assert turn() == POLL_SECONDS


def test_old_rows_are_deleted_every_minute_until_none_is_left() -> None:
    clock, publisher = FakeClock(), FakePublisher([True, True, False])
    turn = publish_turn(publisher, clock)
    turn()
    assert publisher.deletions == 0
    clock.now += DELETE_EVERY
    assert [turn() for _ in range(4)] == [0.0, 0.0, POLL_SECONDS, POLL_SECONDS]
    assert publisher.deletions == 3
    clock.now += DELETE_EVERY
    turn()
    assert publisher.deletions == 4


def test_without_a_stream_it_only_deletes() -> None:
    turn = discard_turn(FakePublisher([True, False]))
    assert [turn() for _ in range(2)] == [0.0, DELETE_EVERY]


def test_one_that_waits_for_another_publisher_deletes_nothing() -> None:
    clock, publisher = FakeClock(), FakePublisher(is_elected=False)
    turn = publish_turn(publisher, clock)
    clock.now += DELETE_EVERY
    assert (turn(), publisher.deletions) == (POLL_SECONDS, 0)


def test_while_nats_is_away_its_pauses_stay_below_a_second() -> None:
    loop = events_loop(FakePublisher(fails=EventStreamUnavailable("away")), FakeClock())
    assert [loop.step() for _ in range(6)] == [0.25, 0.5, 0.5, 0.5, 0.5, 0.5]
