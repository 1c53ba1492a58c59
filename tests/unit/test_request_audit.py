"""A grant is on record only when it was served; a refusal always is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from composer.identity import AddressedNode
from handlers.answers import Answer
from handlers.node_state import get_node_state
from handlers.operation import Request
from tests.fakes import FakeAuditSink
from tests.ports.in_process import FakeService, gated_operation


def spoiled(change: Callable[[Answer], Answer]) -> FakeService:
    """A service whose pull is changed on its way out."""

    def body(request: Request, node: AddressedNode) -> Answer:
        return change(get_node_state(request, node))

    operation = replace(gated_operation("GetNodeState"), handler=body)
    return FakeService(operations={"GetNodeState": operation})


def outcomes(service: FakeService) -> list[str]:
    return [row.outcome for row in service.audit.rows]


def crash(answer: Answer) -> Answer:
    raise KeyError("after the gates")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_served_grant_is_on_record_once(method: str) -> None:
    service = FakeService()
    service.pull(method=method)
    assert outcomes(service) == ["granted"]


def test_a_digest_is_on_record_where_the_caller_then_has_what_it_is_of() -> None:
    service = FakeService()
    tag = service.pull().headers["ETag"]
    replies = [service.pull(method="HEAD"), service.pull(headers={"If-None-Match": tag})]
    assert [reply.headers["ETag"] for reply in replies] == [tag, tag]
    digests = [row.digest and f'W/"{row.digest}"' for row in service.audit.rows]
    assert digests == [tag, None, tag]


def test_a_304_is_a_served_grant() -> None:
    service = FakeService()
    service.pull(headers={"If-None-Match": "*"})
    assert outcomes(service) == ["granted"]


@pytest.mark.parametrize(
    "change",
    [lambda answer: replace(answer, status=202), lambda answer: replace(answer, headers={}), crash],
    ids=["status", "headers", "crash"],
)
def test_a_grant_that_was_withheld_is_not_on_record(change: Callable[[Answer], Answer]) -> None:
    service = spoiled(change)
    status = service.pull().status_code
    assert (status, outcomes(service)) == (500, [])


def test_a_refusal_is_on_record_once() -> None:
    service = FakeService()
    service.pull(2, who=1)
    assert outcomes(service) == ["insufficient_relation"]


def test_the_rows_of_one_request_are_not_those_of_the_next() -> None:
    service = FakeService()
    for number in (1, 2, 1):
        service.pull(number, who=1)
    assert outcomes(service) == ["granted", "insufficient_relation", "granted"]


def test_a_request_that_reaches_no_gate_leaves_no_row() -> None:
    service = FakeService()
    for path in ("/livez", "/nowhere"):
        service.ask(path)
    service.pull(who=None)
    assert outcomes(service) == []


@pytest.mark.parametrize(("number", "status"), [(1, 200), (2, 403)])
def test_a_sink_that_breaks_its_promise_changes_no_answer(number: int, status: int) -> None:
    service = FakeService(audit=FakeAuditSink(fails=RuntimeError("hunter2")))
    assert service.pull(number, who=1).status_code == status
