"""Operations and their handlers: coverage by name, both ways, and ports put inside."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from handlers import OPERATIONS
from handlers.answers import Answer, Call
from handlers.node_state import PullPorts, refuse_pull
from handlers.refusals import INTERNAL, Refused
from handlers.service import HealthCheck, ServicePorts
from server.authoring.problem_check import problem_complaints
from server.contract.document import Contract
from server.contract.errors import ContractError
from server.http.operations import (
    OperationResolver,
    bind,
    coverage_complaints,
    gate_of,
    is_refused,
)
from tests.bodies import JSON, body_now
from tests.contract.attacked import ATTACKED, NEVER_GRANTED
from tests.factories import agent_of, node_id
from tests.ports.asking import path_of, query_of
from tests.ports.in_process import FakeService

CONTRACT = Contract.packaged()


def without(*names: str) -> dict[str, Callable[..., Answer]]:
    return {name: handler for name, handler in OPERATIONS.items() if name not in names}


def test_every_operation_has_a_handler_and_every_handler_an_operation() -> None:
    assert coverage_complaints(CONTRACT, OPERATIONS) == []


def test_every_operation_without_a_handler_is_named() -> None:
    assert coverage_complaints(CONTRACT, without("GetReadyz", "GetNodeState")) == [
        "operation GetNodeState of the contract has no handler",
        "operation GetReadyz of the contract has no handler",
    ]


def test_every_handler_without_an_operation_is_named() -> None:
    stray = {**OPERATIONS, "PutNode": refuse_pull, "DropAll": refuse_pull}
    assert coverage_complaints(CONTRACT, stray) == [
        "handler DropAll has no operation in the contract",
        "handler PutNode has no operation in the contract",
    ]


def test_both_kinds_are_named_at_once() -> None:
    moved = {**without("GetLivez"), "GetLives": OPERATIONS["GetLivez"]}
    assert coverage_complaints(CONTRACT, moved) == [
        "operation GetLivez of the contract has no handler",
        "handler GetLives has no operation in the contract",
    ]


def test_a_contract_is_not_served_with_an_operation_that_nobody_handles() -> None:
    class Operation:
        operation_id = "GetNothing"

    with pytest.raises(ContractError, match="GetNothing"):
        OperationResolver(CONTRACT, {}).resolve(Operation())  # type: ignore[arg-type]


def takes_pull(ports: PullPorts, call: Call, id: str) -> Answer:
    raise AssertionError("not called here")


def takes_service(ports: ServicePorts, call: Call) -> Answer:
    raise AssertionError("not called here")


class NewPorts:
    """Of an operation that nobody has wired yet, nor given a gate."""


def takes_new(ports: NewPorts, call: Call) -> Answer:
    raise AssertionError("not called here")


def test_ports_without_a_gate_of_their_own_are_refused_as_the_receipt_says() -> None:
    assert bind({"A": takes_new}, {})["A"] is gate_of(takes_new) is refuse_pull
    assert (is_refused(takes_new, {}), is_refused(takes_new, {NewPorts: object()})) == (True, False)
    assert (is_refused(takes_service, {}), gate_of(takes_service)) == (False, None)


def test_a_start_is_refused_where_such_a_refusal_is_not_declared() -> None:
    complaints = problem_complaints(CONTRACT, {**OPERATIONS, "GetVersion": takes_new})
    (complaint,) = (sentence for _, sentence in complaints)
    assert complaint.startswith("GetVersion can answer 501 signed_event_bus_not_provisioned")


def test_a_handler_whose_ports_do_not_exist_refuses() -> None:
    bound = bind({"A": takes_pull, "B": takes_service}, {ServicePorts: object()})
    assert (bound["A"] is refuse_pull, bound["B"] is refuse_pull) == (True, False)


def test_a_handler_without_ports_is_bound_as_it_is() -> None:
    assert bind({"A": refuse_pull}, {})["A"] is refuse_pull


def test_half_a_pull_is_no_pull() -> None:
    """Ports that are no PullPorts do not stand in for them."""
    assert bind({"A": takes_pull}, {ServicePorts: object()})["A"] is refuse_pull


def test_a_bound_handler_has_its_ports_its_call_and_its_parameters() -> None:
    given: list[Any] = []

    def handler(ports: ServicePorts, call: Call, id: str) -> Answer:
        given.extend((type(ports), call.correlation_id, call.principal, id))
        raise Refused(INTERNAL, "seen enough")

    service = FakeService(operations={"GetNodeState": handler})
    service.pull(2, who=1, headers={"X-Correlation-Id": "tick-1"})
    assert given == [ServicePorts, "tick-1", agent_of(1), str(node_id(2))]


def test_the_call_has_the_time_that_is_left_of_the_request() -> None:
    left: list[float] = []

    def handler(ports: ServicePorts, call: Call) -> Answer:
        left.append(call.deadline.remaining())
        return Answer(200, {"status": "ok", "checks": []})

    FakeService(operations={"GetLivez": handler}).ask("/livez")
    assert 0 < left[0] <= 3.0


@pytest.mark.parametrize(
    ("given", "status", "said"),
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
    path: str, given: list[str], status: int, said: str
) -> None:
    service = FakeService()
    service.health.given = [HealthCheck(f"d{n}", one, "text") for n, one in enumerate(given)]
    answer = service.ask(path)
    assert (answer.status_code, json.loads(answer.data)["status"]) == (status, said)


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
    answer = FakeService().ask("/v1/openapi.yaml")
    assert (answer.data, answer.mimetype) == (CONTRACT.raw, "application/yaml")


def test_the_version_names_the_contract_it_answers_by() -> None:
    assert json.loads(FakeService().ask("/v1/version").data) == {
        "name": "plexsphere-state",
        "version": "0.1.0",
        "contract_version": CONTRACT.version,
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


@pytest.mark.parametrize("name", [one for one in CONTRACT.operations if one not in NEVER_GRANTED])
def test_every_operation_but_the_events_reaches_its_2xx(name: str) -> None:
    operation, body = CONTRACT.operations[name], body_now(name)
    given = {} if body is None else {"data": body, "headers": JSON}
    answer = FakeService().ask(
        path_of(name), who=1, method=operation.method, query_string=query_of(name), **given
    )
    assert answer.status_code == ATTACKED[name].granted


@pytest.mark.parametrize("path", ["/docs/page.js", "/docs/page.css"])
def test_who_holds_a_file_of_the_page_gets_a_304(path: str) -> None:
    service = FakeService()
    tag = service.ask(path).headers["ETag"]
    assert service.ask(path, headers={"If-None-Match": tag}).status_code == 304


def test_the_refusal_of_an_unprovisioned_pull_needs_no_request() -> None:
    with pytest.raises(Refused):
        refuse_pull()
