"""The bodies kept for ``fleet history``: the bytes of a granted 200 that left, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from composer.identity import AddressedNode
from handlers.answers import Answer
from handlers.node_state import get_node_state
from handlers.operation import Request
from tests.factories import agent_of, node_id
from tests.fakes import FakeBodyHistory
from tests.ports.in_process import FakeService, gated_operation


def spoiled(change: Callable[[Answer], Answer], history: FakeBodyHistory) -> FakeService:
    """A service whose pull is changed on its way out."""

    def body(request: Request, node: AddressedNode) -> Answer:
        return change(get_node_state(request, node))

    operation = replace(gated_operation("GetNodeState"), handler=body)
    return FakeService(operations={"GetNodeState": operation}, history=history)


def crash(answer: Answer) -> Answer:
    raise KeyError("after the gates")


def test_the_very_bytes_of_a_200_are_kept_by_node_and_digest() -> None:
    history = FakeBodyHistory()
    reply = FakeService(history=history).pull()
    digest = reply.headers["ETag"].removeprefix('W/"').removesuffix('"')
    assert history.bodies == [(f"node:{node_id(1)}", digest, reply.data)]


def test_what_has_no_body_of_its_own_keeps_nothing() -> None:
    history = FakeBodyHistory()
    service = FakeService(history=history)
    replies = [
        service.pull(method="HEAD"),
        service.pull(headers={"If-None-Match": "*"}),
        service.pull(2, who=1),
        service.pull(who=None),
        service.ask(f"/v1/nodes/{node_id(1)}/reachability", 1),
        service.ask(f"/v1/nodes/{node_id(1)}/snapshot", 1),
    ]
    assert [reply.status_code for reply in replies] == [200, 304, 403, 401, 200, 200]
    assert history.bodies == []


def test_what_a_stand_in_pulled_is_not_kept() -> None:
    history = FakeBodyHistory()
    service = FakeService(history=history)
    service.relations.grants.add((agent_of(3).subject, "node-agent", f"node:{node_id(1)}"))
    assert service.pull(1, who=3).status_code == 200
    assert history.bodies == []


@pytest.mark.parametrize(
    "change",
    [lambda answer: replace(answer, status=202), lambda answer: replace(answer, headers={}), crash],
    ids=["status", "headers", "crash"],
)
def test_a_body_that_was_withheld_is_not_kept(change: Callable[[Answer], Answer]) -> None:
    history = FakeBodyHistory()
    assert spoiled(change, history).pull().status_code == 500
    assert history.bodies == []


def test_a_history_that_breaks_its_promise_changes_no_answer_and_no_row() -> None:
    service = FakeService(history=FakeBodyHistory(fails=RuntimeError("hunter2")))
    assert service.pull().status_code == 200
    assert [row.outcome for row in service.audit.rows] == ["granted"]
