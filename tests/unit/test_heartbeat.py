"""PostNodeHeartbeat: its moments, and how many questions it costs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from composer.heartbeat import client_moment
from handlers import OPERATIONS
from handlers.answers import Answer
from handlers.operation import perform
from handlers.refusals import (
    CLOCK_SKEW,
    INSUFFICIENT_RELATION,
    MALFORMED_HEARTBEAT_REQUEST,
    RefusalKind,
    Refused,
)
from tests.factories import EPOCH, agent_of, call, node_id
from tests.fakes import FakeRelationChecker
from tests.node_fakes import FakeHeartbeatSink
from tests.ports.wired import fake_ports

NODE = node_id(1)
TRIPLE = (f"node:{NODE}", "node-agent", f"node:{NODE}")


class Arranged:
    def __init__(self) -> None:
        self.relations = FakeRelationChecker({TRIPLE})
        self.sink = FakeHeartbeatSink({NODE}, tokens={NODE: "token"})
        self.ports = fake_ports(relations=self.relations, heartbeats=self.sink)

    def beat(self, client_now: str = "2026-11-23T07:00:00Z") -> Answer | RefusalKind:
        values = {"id": str(NODE), "body": {"client_now": client_now}}
        try:
            return perform(OPERATIONS["PostNodeHeartbeat"], self.ports, call(agent_of(1)), values)
        except Refused as refused:
            return refused.kind


def test_an_accepted_heartbeat_tells_when_and_asks_for_nothing() -> None:
    arranged = Arranged()
    answer = arranged.beat()
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (
        200,
        {"accepted_at": "2026-11-23T07:00:00Z", "reconcile": False, "rotate_keys": False},
    )
    assert arranged.sink.accepted == {NODE: EPOCH}


def test_the_first_heartbeat_asks_for_the_relation_again_at_the_nodes_token() -> None:
    arranged = Arranged()
    arranged.beat()
    assert arranged.relations.calls == [TRIPLE]
    assert arranged.relations.calls_at_least == [(*TRIPLE, "token")]


def test_every_later_heartbeat_is_one_statement() -> None:
    arranged = Arranged()
    arranged.beat()
    arranged.sink.calls.clear()
    assert isinstance(arranged.beat(), Answer)
    assert [token for _, _, token in arranged.sink.calls] == ["token"]
    assert len(arranged.relations.calls_at_least) == 1


def test_a_node_without_a_token_is_one_statement_from_the_first() -> None:
    arranged = Arranged()
    arranged.sink.tokens.clear()
    assert isinstance(arranged.beat(), Answer)
    assert (len(arranged.sink.calls), arranged.relations.calls_at_least) == (1, [])


def test_relationships_that_changed_since_the_last_heartbeat_are_decided_on_anew() -> None:
    arranged = Arranged()
    arranged.beat()
    arranged.sink.tokens[NODE] = "a later one"
    arranged.relations.revoked_at_least.add(TRIPLE)
    arranged.sink.accepted.clear()
    assert arranged.beat() is INSUFFICIENT_RELATION
    assert arranged.sink.accepted == {}


@pytest.mark.parametrize("text", ["2026-11-23T07:00:60Z", "0000-01-01T00:00:00Z"])
def test_a_moment_that_is_none_is_malformed(text: str) -> None:
    arranged = Arranged()
    assert arranged.beat(text) is MALFORMED_HEARTBEAT_REQUEST
    assert arranged.sink.calls == []


def test_a_moment_past_all_calendars_is_a_clock_that_is_off() -> None:
    arranged = Arranged()
    assert arranged.beat("0001-01-01T00:00:00+14:00") is CLOCK_SKEW
    assert arranged.sink.accepted == {}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T07:00:00Z", EPOCH),
        ("2026-11-23T08:00:00+01:00", EPOCH),
        ("2026-11-23T06:59:59.999999999Z", EPOCH.replace(hour=6, minute=59, second=59,
                                                        microsecond=999_999)),
        ("2026-11-22T19:00:00-12:00", EPOCH),
        ("2026-11-23T07:00:00.5Z", EPOCH.replace(microsecond=500_000)),
    ],
)  # fmt: skip
def test_the_moment_of_a_text(text: str, moment: datetime) -> None:
    found = client_moment(text)
    assert (found, found.tzinfo) == (moment, UTC)
