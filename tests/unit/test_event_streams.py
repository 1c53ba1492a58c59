"""A held stream: its opening, what it gets, how long it may go on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from composer.errors import EventStreamUnavailable
from composer.event_streams import Decision
from server.events.frames import KEEP_ALIVE
from server.events.schedule import TOGETHER
from server.events.streams import MISSED_BYTES, NodeEventStream, NodeEventStreams
from tests.event_fakes import FakeEventStreams
from tests.events import NOW, OTHER_DOMAIN, envelope, event, last_id, read_frames
from tests.factories import DOMAIN, node_id
from tests.ports.event_streams import EventStreamsSuite
from tests.stream_world import WINDOW, Client, World


@pytest.fixture
def world() -> World:
    return World()


class TestNodeEventStreams(EventStreamsSuite):
    @pytest.fixture
    def streams(self, world: World) -> NodeEventStreams:
        return world.streams

    @pytest.fixture
    def away(self, world: World) -> NodeEventStreams:
        world.bus.is_up = False
        return world.streams


class TestFakeEventStreams(EventStreamsSuite):
    @pytest.fixture
    def streams(self) -> FakeEventStreams:
        return FakeEventStreams()

    @pytest.fixture
    def away(self) -> FakeEventStreams:
        return FakeEventStreams(fails=EventStreamUnavailable("away"))


# Where a stream begins


def test_without_a_position_it_begins_now(world: World) -> None:
    client = world.hold()
    assert (client.positions, last_id(client.sent)) == ([], 10)
    world.fan_out.take(event(11))
    assert client.positions == [11]


def test_it_resumes_strictly_after_the_position(world: World) -> None:
    client = world.hold(after=7)
    assert (client.positions, last_id(client.sent)) == ([8, 9, 10], 10)


def test_an_event_between_opening_and_beginning_comes_once(world: World) -> None:
    stream, client = world.open(), Client()
    world.fan_out.take(event(11))
    client.sent = stream.begin(lambda gone: client)
    world.fan_out.take(event(12))
    assert client.positions == [11, 12]


@pytest.mark.parametrize("after", [0, 4, 11, 10**20 - 1])
def test_a_position_that_cannot_be_resumed_begins_with_a_resync(world: World, after: int) -> None:
    client = world.hold(after=after)
    assert [(at, kind) for at, kind, _ in read_frames(client.sent)] == [(10, "resync_required")]
    assert world.recorder.resyncs == 1


def test_a_position_that_another_process_has_sent_is_resumed_without_repetition(
    world: World,
) -> None:
    world.bus.last = 12
    client = world.hold(after=12)
    for number in (11, 12, 13):
        world.fan_out.take(event(number))
    assert client.positions == [13]


def test_who_missed_more_than_a_snapshot_pulls(world: World) -> None:
    for number in range(11, 12 + MISSED_BYTES // 1024):
        world.fan_out.take(event(number, frame=b"x" * 1024))
    world.open(after=11)
    assert world.recorder.resyncs == 0
    world.open(after=10)
    assert world.recorder.resyncs == 1


def test_a_node_gets_nothing_from_before_its_registration(world: World) -> None:
    """Events have the positions of their rows here, and 12 is that of its registration."""
    young = {"number": 3, "joined_seq": 12}
    early = world.hold(**young)
    for number in range(11, 15):
        world.fan_out.take(event(number))
    world.fan_out.take(event(15, seq=11, node_id=node_id(3)))
    assert early.positions == [12, 13, 14, 15]
    assert world.hold(after=6, **young).positions == [12, 13, 14, 15]


def test_a_transition_of_the_key_is_told_at_every_opening(world: World) -> None:
    payload = {
        "key_id": "2",
        "public_key": "A" * 43 + "=",
        "previous_key_id": "1",
        "transition_expires": "2026-11-24T08:00:00Z",
    }
    world.signed.transition = [envelope("signing_key_rotated", f"domain:{DOMAIN}", payload)]
    client = world.hold(after=8)
    events = [(at, kind) for at, kind, _ in read_frames(client.sent)]
    assert events == [(8, "signing_key_rotated"), (9, "peer_added"), (10, "peer_added")]


def test_where_nothing_can_be_held_the_answer_ends_with_what_was_missed(world: World) -> None:
    assert [at for at, _, _ in read_frames(world.open(after=8).begin(None))] == [9, 10]
    world.fan_out.take(event(11))
    assert world.recorder.delivered == []


# Who gets an event


def test_an_event_reaches_its_domain_and_no_other(world: World) -> None:
    mine, others = world.hold(), world.hold(domain_id=OTHER_DOMAIN, number=4)
    world.fan_out.take(event(11))
    assert (mine.positions, others.positions, world.recorder.delivered) == ([11], [], [1])


def test_an_event_of_a_node_reaches_it_alone(world: World) -> None:
    first, second = world.hold(number=1), world.hold(number=2)
    world.fan_out.take(event(11, node_id=node_id(2)))
    assert (first.positions, second.positions) == ([], [11])
    assert world.hold(after=10, number=1).positions == []


def test_a_node_never_hears_of_itself_as_a_peer(world: World) -> None:
    first, second = world.hold(number=1), world.hold(number=2)
    world.fan_out.take(event(11, peer_id=node_id(1)))
    assert (first.positions, second.positions) == ([], [11])
    assert world.hold(after=10, number=1).positions == []


def test_every_stream_of_a_node_gets_its_events(world: World) -> None:
    clients = [world.hold(), world.hold()]
    world.fan_out.take(event(11))
    assert [client.positions for client in clients] == [[11], [11]]


# What ends streams


def test_an_event_that_agents_refuse_for_its_age_ends_the_streams_of_its_domain(
    world: World,
) -> None:
    mine, others = world.hold(), world.hold(domain_id=OTHER_DOMAIN, number=4)
    world.fan_out.take(event(11, published=NOW - WINDOW - 1))
    assert (mine.is_closed, mine.positions, others.is_closed) == (True, [], False)
    kinds = [kind for _, kind, _ in read_frames(world.hold(after=10).sent)]
    assert kinds == ["resync_required"]


def test_a_stream_of_the_bus_that_was_made_anew_ends_all(world: World) -> None:
    clients = [world.hold(), world.hold(domain_id=OTHER_DOMAIN, number=4)]
    world.fan_out.restart(99)
    assert all(client.is_closed for client in clients)
    kinds = [kind for _, kind, _ in read_frames(world.hold(after=10).sent)]
    assert kinds == ["resync_required"]


def test_a_client_that_is_gone_gets_nothing_and_is_not_counted(world: World) -> None:
    client = world.hold()
    assert world.recorder.streams == 1
    client.gone()
    world.fan_out.take(event(11))
    assert (client.positions, world.recorder.streams, world.recorder.cuts) == ([], 0, 0)


def test_a_client_that_was_cut_is_counted_once(world: World) -> None:
    client = world.hold()
    client.is_closed = client.is_overrun = True
    for number in (11, 12):
        world.fan_out.take(event(number))
    client.gone()
    assert (world.recorder.cuts, world.recorder.delivered) == (1, [])


class VanishingStream(NodeEventStream):
    """Its client is gone as soon as somebody has looked for it."""

    __slots__ = ("client",)

    @property
    def _outlet(self) -> Client | None:
        client, self.client = self.client, None
        return client

    @_outlet.setter
    def _outlet(self, client: Client | None) -> None:
        self.client = client


def test_a_client_may_leave_while_its_stream_ends(world: World) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.events.streams.NodeEventStream", VanishingStream)
        stream, client = world.open(), Client()
    stream.begin(lambda gone: client)
    stream.end()
    assert client.is_closed


# How long a stream may go on


def test_it_is_kept_alive_every_25_seconds(world: World) -> None:
    client = world.hold()
    opening = client.sent
    world.pass_time(24)
    assert client.sent == opening
    world.pass_time(1)
    assert client.sent == opening + KEEP_ALIVE
    world.pass_time(50)
    assert client.sent == opening + 3 * KEEP_ALIVE


def test_the_gates_are_asked_again_within_every_60_seconds(world: World) -> None:
    client = world.hold()
    for minute in range(1, 6):
        world.pass_time(60)
        assert world.asked >= minute
    assert (client.is_closed, world.asked < 12) == (False, True)


def test_a_no_ends_it(world: World) -> None:
    client = world.hold()
    world.decisions = [Decision.NO]
    world.pass_time(41)
    assert client.is_closed


def test_it_ends_where_nobody_has_said_yes_for_60_seconds(world: World) -> None:
    client = world.hold()
    world.decisions = [Decision.UNDECIDED]
    world.pass_time(58)
    assert (client.is_closed, world.asked > 1) == (False, True)
    world.pass_time(2)
    assert client.is_closed


def test_a_yes_after_an_outage_lets_it_go_on(world: World) -> None:
    client = world.hold()
    world.decisions = [Decision.UNDECIDED]
    world.pass_time(50)
    world.decisions = [Decision.YES]
    world.pass_time(100)
    assert not client.is_closed


def test_it_ends_with_its_token(world: World) -> None:
    client = world.hold(expires_at=datetime.fromtimestamp(NOW + 30, UTC))
    world.pass_time(29)
    assert not client.is_closed
    world.pass_time(1)
    assert client.is_closed


def test_a_node_that_lost_something_is_asked_about_at_once_and_no_other(world: World) -> None:
    revoked, other = world.hold(number=1), world.hold(number=2)
    world.decisions = [Decision.NO]
    world.schedule.ask_at_once(world.fan_out.of_node(node_id(1)))
    world.schedule.answer()
    assert (revoked.is_closed, other.is_closed, world.asked) == (True, False, 1)


def test_it_comes_before_questions_that_are_not_urgent(world: World) -> None:
    world.hold(number=2), world.hold(number=1)
    world.schedule.ask_soon(world.fan_out.of_node(node_id(2)))
    world.schedule.ask_at_once(world.fan_out.of_node(node_id(1)))
    world.schedule.answer()
    assert world.asked_about == [node_id(1), node_id(2)]


def test_questions_that_wait_are_one_call(world: World) -> None:
    for number in range(1, TOGETHER + 4):
        world.hold(number=number)
    world.schedule.ask_soon(world.fan_out.all())
    while world.schedule.has_question:
        world.schedule.answer()
    assert world.checks.calls == [TOGETHER, 3]


def test_a_question_that_fails_leaves_the_others_of_its_call(world: World) -> None:
    failed, asked = world.hold(number=1), world.hold(number=2)
    world.failing = {node_id(1)}
    world.decisions = [Decision.NO]
    world.schedule.ask_soon(world.fan_out.all())
    world.schedule.answer()
    assert (failed.is_closed, asked.is_closed) == (False, True)
    world.decisions = [Decision.YES]
    world.pass_time(60)
    assert failed.is_closed


def test_a_stream_that_is_over_costs_no_question(world: World) -> None:
    client = world.hold()
    client.gone()
    world.pass_time(120)
    assert world.asked == 0
