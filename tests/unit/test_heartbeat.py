"""PostNodeHeartbeat: the pull's gates, one write, and no audit row but for a refused relation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from composer.audit import AuditRow
from composer.errors import (
    AuthzUnavailable,
    ClockSkew,
    ComposerError,
    DatastoreUnavailable,
    NodeNotFound,
)
from composer.heartbeat import client_moment
from composer.identity import Principal
from handlers.answers import Answer
from handlers.heartbeat import HeartbeatPorts, post_node_heartbeat, refuse_heartbeat
from handlers.refusals import (
    AUTHZ_UNAVAILABLE,
    CLOCK_SKEW,
    DATASTORE_UNAVAILABLE,
    HEARTBEAT_NOT_PROVISIONED,
    INSUFFICIENT_RELATION,
    INTERNAL,
    INVALID_NODE_ID,
    MALFORMED_HEARTBEAT_REQUEST,
    NODE_NOT_FOUND,
    UNAUTHORIZED,
    RefusalKind,
    Refused,
)
from tests.factories import CORRELATION, EPOCH, agent_of, call, node_id
from tests.fakes import FakeAuditSink, FakeHeartbeatSink, FakeRelationChecker

NODE = node_id(1)
BODY: Mapping[str, Any] = {"client_now": "2026-11-23T07:00:00Z"}
TRIPLE = (f"node:{NODE}", "node-agent", f"node:{NODE}")


class Arranged:
    def __init__(self) -> None:
        self.relations = FakeRelationChecker({TRIPLE})
        self.sink = FakeHeartbeatSink({NODE}, tokens={NODE: "token"})
        self.audit = FakeAuditSink()

    def beat(
        self,
        principal: Principal | None = None,
        node: str = str(NODE),
        body: Mapping[str, Any] = BODY,
        nobody: bool = False,
    ) -> Answer | RefusalKind:
        ports = HeartbeatPorts(self.relations, self.sink, self.audit)
        who = None if nobody else principal or agent_of(1)
        try:
            return post_node_heartbeat(ports, call(who), node, body)
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
    assert arranged.sink.heard == {NODE: EPOCH}


def test_an_accepted_heartbeat_leaves_no_audit_row() -> None:
    arranged = Arranged()
    arranged.beat()
    assert arranged.audit.rows == []


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
    arranged.sink.heard.clear()
    assert arranged.beat() is INSUFFICIENT_RELATION
    assert arranged.sink.heard == {}


def test_gate_1_no_principal() -> None:
    arranged = Arranged()
    assert arranged.beat(nobody=True) is UNAUTHORIZED
    assert (arranged.relations.calls, arranged.sink.calls) == ([], [])


def test_gate_1a_no_canonical_id() -> None:
    arranged = Arranged()
    assert arranged.beat(node=str(NODE).upper()) is INVALID_NODE_ID
    assert arranged.relations.calls == []


def test_gate_2_a_stranger_leaves_an_audit_row_and_asks_nothing_further_in() -> None:
    arranged = Arranged()
    assert arranged.beat(agent_of(2)) is INSUFFICIENT_RELATION
    assert arranged.sink.calls == []
    assert arranged.audit.rows == [
        AuditRow(
            relation="node.heartbeat",
            outcome="insufficient_relation",
            subject=f"node:{node_id(2)}",
            object=f"node:{NODE}",
            correlation_id=CORRELATION,
        )
    ]


def test_gate_2_again_a_revoked_agent_writes_nothing() -> None:
    arranged = Arranged()
    arranged.relations.revoked_at_least.add(TRIPLE)
    assert arranged.beat() is INSUFFICIENT_RELATION
    assert arranged.sink.heard == {}
    assert [row.relation for row in arranged.audit.rows] == ["node.heartbeat"]


@pytest.mark.parametrize(
    ("port", "error", "kind"),
    [
        ("relations", AuthzUnavailable("away"), AUTHZ_UNAVAILABLE),
        ("relations", ComposerError("odd"), INTERNAL),
        ("sink", NodeNotFound("gone"), NODE_NOT_FOUND),
        ("sink", ClockSkew("off"), CLOCK_SKEW),
        ("sink", DatastoreUnavailable("locked"), DATASTORE_UNAVAILABLE),
        ("sink", ComposerError("odd"), INTERNAL),
    ],
)
def test_a_port_that_fails_is_refused_by_its_name_without_an_audit_row(
    port: str, error: Exception, kind: RefusalKind
) -> None:
    arranged = Arranged()
    getattr(arranged, port).fails = error
    assert arranged.beat() is kind
    assert arranged.audit.rows == []
    assert bool(arranged.sink.calls) == (port == "sink")


def test_a_client_whose_clock_is_off_is_told() -> None:
    arranged = Arranged()
    assert arranged.beat(body={"client_now": "2026-11-23T07:01:01Z"}) is CLOCK_SKEW
    assert arranged.sink.heard == {}


@pytest.mark.parametrize("text", ["2026-11-23T07:00:60Z", "0000-01-01T00:00:00Z"])
def test_a_moment_that_is_none_is_malformed(text: str) -> None:
    arranged = Arranged()
    assert arranged.beat(body={"client_now": text}) is MALFORMED_HEARTBEAT_REQUEST
    assert arranged.sink.calls == []


def test_a_moment_past_all_calendars_is_a_clock_that_is_off() -> None:
    assert Arranged().beat(body={"client_now": "0001-01-01T00:00:00+14:00"}) is CLOCK_SKEW


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


def test_an_unprovisioned_heartbeat_refuses_whoever_asks() -> None:
    with pytest.raises(Refused) as refused:
        refuse_heartbeat()
    assert refused.value.kind is HEARTBEAT_NOT_PROVISIONED


@pytest.mark.parametrize("missing", ["relations", "heartbeats"])
def test_ports_cannot_be_built_without_a_load_bearing_one(missing: str) -> None:
    given = {
        "relations": FakeRelationChecker(),
        "heartbeats": FakeHeartbeatSink(),
    }
    del given[missing]
    with pytest.raises(TypeError, match=missing):
        HeartbeatPorts(**given)
