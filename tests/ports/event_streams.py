"""The promises of every EventStreams (``composer.event_streams.EventStreams``)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from composer.errors import EventStreamUnavailable
from composer.event_streams import Decision, EventStreams, Outlet, Subscriber
from tests.factories import DOMAIN, node_id
from tests.ports.deadlines import in_time
from tests.stream_world import Client

SUBSCRIBER = Subscriber(
    node_id=node_id(1), domain_id=DOMAIN, joined_seq=0, ask_again=lambda deadline: Decision.YES
)


class EventStreamsSuite:
    """Override ``streams``, whose bus is there, and ``away``, whose bus is not."""

    @pytest.fixture
    def streams(self) -> EventStreams:
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> EventStreams:
        raise NotImplementedError

    @pytest.mark.parametrize("after", [None, 0, 10**20 - 1])
    def test_a_stream_is_held_once_and_begins_with_whole_frames(
        self, streams: EventStreams, after: int | None
    ) -> None:
        held: list[Outlet] = []

        def hold(gone: Callable[[], None]) -> Outlet:
            held.append(Client())
            return held[-1]

        begun = streams.subscribe(SUBSCRIBER, after, in_time()).begin(hold)
        assert len(held) == 1
        assert begun.endswith(b"\n\n")

    def test_where_nothing_can_be_held_the_answer_has_an_end(self, streams: EventStreams) -> None:
        assert streams.subscribe(SUBSCRIBER, None, in_time()).begin(None).endswith(b"\n\n")

    def test_without_the_bus_nothing_is_opened(self, away: EventStreams) -> None:
        with pytest.raises(EventStreamUnavailable):
            away.subscribe(SUBSCRIBER, None, in_time())
