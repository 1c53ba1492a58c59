"""Undeclared query parameters, refused where the file says so and passed over where it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from handlers.answers import Answer, Call
from handlers.operation import OpenOperation
from handlers.service import ServicePorts
from server.contract.document import Contract
from tests.ports.asking import path_of, query_of
from tests.ports.in_process import FakeService

CONTRACT = Contract.packaged()
UNDECLARED = ["x=1", "x", "=1", "id=1", "%00=%FF", "hunter2=hunter2", "a=1&a=2", "Limit=1"]
# Asked by tools and people who add parameters of their own; the file says so beside each.
LAX = {
    "GetLivez",
    "GetReadyz",
    "GetMetrics",
    "GetDocs",
    "GetDocsScript",
    "GetDocsStyle",
    "GetJwks",
}
STRICT = sorted(CONTRACT.operations.keys() - LAX)


@pytest.fixture(scope="module")
def service() -> FakeService:
    return FakeService()


@pytest.fixture(scope="module")
def unprovisioned() -> FakeService:
    return FakeService(provisioned=False)


def asked(service: FakeService, name: str, query: str, who: int | None = 1, **values: Any) -> Any:
    method = CONTRACT.operations[name].method
    query = f"{query_of(name)}&{query}".removeprefix("&")
    return service.ask(path_of(name), who, method=method, query_string=query, **values)


def test_an_operation_is_strict_or_known_to_be_lax() -> None:
    assert {
        name for name, operation in CONTRACT.operations.items() if not operation.strict_query
    } == LAX


def test_the_file_says_why_beside_each_lax_operation() -> None:
    raw = (Path(__file__).resolve().parents[2] / "api" / "plexsphere-v1.yaml").read_text()
    lines = raw.splitlines()
    for name in LAX:
        at = lines.index(f"      operationId: {name}")
        assert lines[at - 1].startswith("      # No x-strict-query: "), name


# Each operation with one of them, and each of them with one operation.
@pytest.mark.parametrize(
    ("name", "query"),
    [*((name, UNDECLARED[0]) for name in STRICT), *(("GetVersion", q) for q in UNDECLARED[1:])],
)
def test_an_undeclared_parameter_is_a_400_that_does_not_repeat_it(
    service: FakeService, name: str, query: str
) -> None:
    answer = asked(service, name, query)
    assert (answer.status_code, answer.mimetype, json.loads(answer.data)["code"]) == (
        400,
        "application/problem+json",
        "unknown_query_parameter",
    )
    assert b"hunter2" not in answer.data


@pytest.mark.parametrize(
    ("name", "query"),
    [*((name, UNDECLARED[0]) for name in sorted(LAX)), *(("GetJwks", q) for q in UNDECLARED[1:])],
)
def test_a_lax_operation_passes_it_over(service: FakeService, name: str, query: str) -> None:
    assert asked(service, name, query).status_code == 200


@pytest.mark.parametrize("query", ["", "&", "&&"])
def test_a_query_without_a_name_is_none(service: FakeService, query: str) -> None:
    assert asked(service, "GetVersion", query).status_code == 200


SECURED = [name for name in STRICT if CONTRACT.operations[name].secured]


@pytest.mark.parametrize("name", SECURED)
def test_a_501_and_a_401_come_first(
    service: FakeService, unprovisioned: FakeService, name: str
) -> None:
    assert asked(unprovisioned, name, "x=1").status_code == 501
    assert asked(service, name, "x=1", who=None).status_code == 401


@pytest.mark.parametrize("name", SECURED)
def test_it_comes_before_any_port_is_asked(name: str) -> None:
    service = FakeService()
    assert asked(service, name, "x=1", who=2).status_code == 400
    assert (service.asked(), service.audit.rows) == (0, [])


def test_the_id_is_told_first(service: FakeService) -> None:
    answer = service.ask("/v1/nodes/x/state", 1, query_string="x=1")
    assert json.loads(answer.data)["code"] == "invalid_node_id"


PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFUSED = {"description": "no", "x-problem-codes": ["unknown_query_parameter"], "content": PROBLEM}
OK = {
    "description": "ok",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


def small(**changes: Any) -> FakeService:
    """A service of one strict operation, without a parameter unless ``changes`` brings some."""
    operation = {
        "operationId": "GetThings",
        "x-strict-query": True,
        "responses": {"200": OK, "400": REFUSED, "500": REFUSED},
    }
    document = {
        "openapi": "3.0.3",
        "info": {"title": "small", "version": "1.0.0"},
        "paths": {"/things": {"get": operation | changes}},
        "components": {"schemas": {"Problem": {"type": "object"}}},
    }
    contract = Contract(yaml.safe_dump(document).encode())

    def get_things(ports: ServicePorts, call: Call, **query: Any) -> Answer:
        return Answer(200, query)

    return FakeService(
        contract=contract, operations={"GetThings": OpenOperation(handler=get_things)}
    )


def test_an_operation_without_parameters_is_strict_too() -> None:
    service = small()
    answers = [service.ask("/things", query_string=query).status_code for query in ("", "x=1")]
    assert answers == [200, 400]


def test_a_declared_one_is_taken_and_one_beside_it_is_not() -> None:
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
    header = {"name": "tenant", "in": "header", "schema": {"type": "string"}}
    service = small(parameters=[limit, header])
    queries = ("limit=1", "limit=1&x=1", "tenant=a")
    answers = [service.ask("/things", query_string=query).status_code for query in queries]
    assert answers == [200, 400, 400]
