"""GetNodeEvents: for whom and from where a stream is opened, and how its holder is asked again."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import pytest

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable, DatastoreUnavailable
from composer.event_streams import Decision, Subscriber
from tests.events import OTHER_DOMAIN
from tests.factories import DOMAIN, agent_of, node_id
from tests.ports.deadlines import expired, in_time
from tests.ports.in_process import FakeService
from tests.stream_world import World

EVENTS = f"/v1/nodes/{node_id(1)}/events"


@pytest.fixture
def service() -> FakeService:
    return FakeService()


def subscribed(service: FakeService, **headers: str) -> tuple[Subscriber, int | None]:
    """The subscriber of one request, and the position that it asked for."""
    assert service.ask(EVENTS, 1, headers=headers).status_code == 200
    return service.events.opened[-1]


def again(subscriber: Subscriber) -> Decision:
    return subscriber.ask_again(Deadline.after(1, time.monotonic))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("1796054080832", 1796054080832),
        ("0001796054080832", 1796054080832),
        ("0" * 1000, 0),
        ("9" * 1000, 10**20 - 1),
    ],
    ids=["absent", "empty", "zero", "a position", "leading zeros", "zeros", "beyond"],
)
def test_a_stream_is_opened_for_the_node_and_from_the_position(
    service: FakeService, text: str | None, position: int | None
) -> None:
    subscriber, after = subscribed(service, **({} if text is None else {"Last-Event-ID": text}))
    assert (subscriber.node_id, subscriber.domain_id, after) == (node_id(1), DOMAIN, position)


def test_whoever_may_still_hold_it_leaves_no_further_row(service: FakeService) -> None:
    subscriber, _ = subscribed(service)
    assert again(subscriber) is Decision.YES
    assert [row.outcome for row in service.audit.rows] == ["granted"]


def test_a_question_has_its_own_time_and_not_that_of_the_opening(service: FakeService) -> None:
    subscriber, _ = subscribed(service)
    assert isinstance(subscriber.ask_again, partial)
    request, *others = subscriber.ask_again.args
    opened_long_ago = replace(
        request, deadline=expired(), call=replace(request.call, deadline=expired())
    )
    assert subscriber.ask_again.func(opened_long_ago, *others, in_time()) is Decision.YES


def test_whoever_may_not_hold_it_any_more_is_on_record(service: FakeService) -> None:
    subscriber, _ = subscribed(service)
    service.relations.grants.discard((agent_of(1).subject, "node-agent", f"node:{node_id(1)}"))
    assert again(subscriber) is Decision.NO
    row = service.audit.rows[-1]
    assert (row.relation, row.outcome) == ("node_events.subscribe", "insufficient_relation")


def test_a_node_that_is_gone_holds_no_stream(service: FakeService) -> None:
    subscriber, _ = subscribed(service)
    service.nodes.nodes.clear()
    assert again(subscriber) is Decision.NO
    assert [row.outcome for row in service.audit.rows] == ["granted"]


def test_a_node_of_another_domain_now_must_open_its_stream_again(service: FakeService) -> None:
    subscriber, _ = subscribed(service)
    node = service.nodes.nodes[node_id(1)]
    service.nodes.nodes[node_id(1)] = replace(node, domain_id=OTHER_DOMAIN)
    assert again(subscriber) is Decision.NO


@pytest.mark.parametrize("error", [AuthzUnavailable("away"), DatastoreUnavailable("away")])
def test_an_outage_decides_nothing(service: FakeService, error: Exception) -> None:
    subscriber, _ = subscribed(service)
    part = service.relations if isinstance(error, AuthzUnavailable) else service.nodes
    part.fails = error
    assert again(subscriber) is Decision.UNDECIDED


def test_a_stream_outlives_an_outage_of_spicedb_by_less_than_a_minute(service: FakeService) -> None:
    world, (subscriber, _) = World(), subscribed(service)
    client = world.begun(world.streams.subscribe(subscriber, None, in_time()))
    world.pass_time(200)
    assert not client.is_closed
    service.relations.fails = AuthzUnavailable("away")
    world.pass_time(60)
    assert client.is_closed
    assert [row.outcome for row in service.audit.rows] == ["granted"]
