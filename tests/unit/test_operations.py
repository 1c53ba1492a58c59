"""Operations bound to their ports: coverage by name, and what a body gets."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from composer.identity import AddressedNode
from handlers import OPERATIONS
from handlers.answers import Answer, Call
from handlers.operation import AnyOperation, OpenOperation, Request
from handlers.ports import LedgerPorts
from handlers.refusals import INTERNAL, Refused
from handlers.service import HealthCheck, ServicePorts
from server.authoring.contract_check import contract_complaints
from server.authoring.problems import problem_faults
from server.contract.document import Contract
from tests.bodies import JSON, body_now
from tests.contract.tables import GRANTED
from tests.factories import agent_of, node_id
from tests.ports.asking import path_of, query_of
from tests.ports.in_process import FakeService, gated_operation

CONTRACT = Contract.packaged()


def without(*names: str) -> dict[str, AnyOperation]:
    return {name: operation for name, operation in OPERATIONS.items() if name not in names}


def complaints(operations: dict[str, AnyOperation]) -> list[str]:
    """The sentences about the committed file, without their places."""
    return [line.split(": ", 1)[1] for line in contract_complaints(CONTRACT.raw, operations)]


def test_every_operation_without_a_handler_is_named() -> None:
    assert complaints(without("GetReadyz", "GetNodeState")) == [
        "operation GetNodeState of the contract has no handler",
        "operation GetReadyz of the contract has no handler",
    ]


def test_every_handler_without_an_operation_is_named() -> None:
    livez = OPERATIONS["GetLivez"]
    stray = {**OPERATIONS, "PutNode": livez, "DropAll": livez}
    assert complaints(stray) == [
        "handler DropAll has no operation in the contract",
        "handler PutNode has no operation in the contract",
    ]


def test_both_kinds_are_named_at_once() -> None:
    moved = {**without("GetLivez"), "GetLives": OPERATIONS["GetLivez"]}
    assert complaints(moved) == [
        "operation GetLivez of the contract has no handler",
        "handler GetLives has no operation in the contract",
    ]


def test_a_start_is_refused_where_gate_0_of_an_operation_is_not_declared() -> None:
    gated = OPERATIONS["GetNodeState"]
    faults = [
        fault.sentence for fault in problem_faults(CONTRACT, {**OPERATIONS, "GetVersion": gated})
    ]
    start = "GetVersion can answer 501 signed_event_bus_not_provisioned"
    assert any(fault.startswith(start) for fault in faults), faults


def test_a_body_has_its_ports_its_call_and_its_parameters() -> None:
    seen: list[Any] = []

    def body(request: Request, node: AddressedNode) -> Answer:
        seen.extend((type(request.ports), request.call.correlation_id, request.principal, node.id))
        raise Refused(INTERNAL, "seen enough")

    service = FakeService(
        operations={"GetNodeState": replace(gated_operation("GetNodeState"), handler=body)}
    )
    service.pull(1, who=1, headers={"X-Correlation-Id": "tick-1"})
    assert seen == [LedgerPorts, "tick-1", agent_of(1), node_id(1)]


def test_the_call_has_the_time_that_is_left_of_the_request() -> None:
    left: list[float] = []

    def body(ports: ServicePorts, call: Call) -> Answer:
        left.append(call.deadline.remaining())
        return Answer(200, {"status": "ok", "checks": []})

    FakeService(operations={"GetLivez": OpenOperation(handler=body)}).ask("/livez")
    assert 0 < left[0] <= 3.0


@pytest.mark.parametrize(
    ("values", "status", "sentence"),
    [
        ([], 200, "ok"),
        (["ok", "ok"], 200, "ok"),
        (["ok", "degraded"], 200, "degraded"),
        (["degraded", "down", "ok"], 503, "down"),
        (["down"], 503, "down"),
    ],
)
@pytest.mark.parametrize("path", ["/readyz", "/v1/health"])
def test_health_is_as_bad_as_its_worst_check(
    path: str, values: list[str], status: int, sentence: str
) -> None:
    service = FakeService()
    service.health.given = [HealthCheck(f"d{n}", status, "text") for n, status in enumerate(values)]
    answer = service.ask(path)
    assert (answer.status_code, json.loads(answer.data)["status"]) == (status, sentence)


def test_readiness_shows_every_check() -> None:
    service = FakeService()
    service.health.given = [HealthCheck("postgres", "down", "does not answer")]
    assert json.loads(service.ask("/readyz").data)["checks"] == [
        {"name": "postgres", "status": "down", "detail": "does not answer"}
    ]


def test_liveness_looks_at_nothing() -> None:
    service = FakeService()
    service.health.given = [HealthCheck("postgres", "down", "does not answer")]
    assert service.ask("/livez").data == b'{"status":"ok","checks":[]}'


def test_the_contract_is_served_byte_for_byte() -> None:
    service = FakeService()
    text = service.ask("/v1/openapi.yaml", headers={"Accept": "application/json, text/plain;q=0.5"})
    assert (text.data, text.mimetype) == (CONTRACT.raw, "text/plain")
    browser = service.ask("/v1/openapi.yaml", headers={"Accept": "text/html, */*;q=0.8"})
    assert (browser.mimetype, browser.headers["Vary"]) == ("application/yaml", "Accept")
    answer = service.ask("/v1/openapi.yaml")
    assert (answer.data, answer.mimetype) == (CONTRACT.raw, "application/yaml")


def test_the_version_names_the_contract_it_answers_by() -> None:
    assert json.loads(FakeService().ask("/v1/version").data) == {
        "name": "plexsphere-state",
        "version": "0.1.0",
        "contract_version": CONTRACT.version,
        "commit": "unknown",
        "date": "unknown",
    }


def test_metrics_count_answers_by_operation_and_status() -> None:
    service = FakeService()
    service.pull()
    service.pull(who=None)
    service.ask("/nowhere")
    text = service.ask("/metrics").get_data(as_text=True)
    counted = {line for line in text.splitlines() if line.startswith("plexsphere_http_requests_t")}
    assert counted == {
        'plexsphere_http_requests_total{operation="GetNodeState",status="200"} 1.0',
        'plexsphere_http_requests_total{operation="GetNodeState",status="401"} 1.0',
        'plexsphere_http_requests_total{operation="none",status="404"} 1.0',
    }


@pytest.mark.parametrize("name", list(CONTRACT.operations))
def test_every_operation_but_the_events_reaches_its_2xx(name: str) -> None:
    operation, body = CONTRACT.operations[name], body_now(name)
    values = {} if body is None else {"data": body, "headers": JSON}
    answer = FakeService().ask(
        path_of(name), who=1, method=operation.method, query_string=query_of(name), **values
    )
    assert answer.status_code == GRANTED[name]


@pytest.mark.parametrize("path", ["/docs/page.js", "/docs/page.css"])
def test_who_holds_a_file_of_the_page_gets_a_304(path: str) -> None:
    service = FakeService()
    tag = service.ask(path).headers["ETag"]
    assert service.ask(path, headers={"If-None-Match": tag}).status_code == 304
    assert service.ask(path, headers={"If-None-Match": '"", "other"'}).status_code == 200
    assert service.ask(path, headers={"If-None-Match": f'"", {tag}'}).status_code == 304
