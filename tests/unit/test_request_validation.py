"""Parameters against a small contract: what is refused, how, and that nothing leaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from handlers.answers import Answer, Call
from handlers.operation import OpenOperation
from handlers.service import ServicePorts
from server.contract.document import Contract
from tests.ports.in_process import FakeService

PARAMETERS: list[dict[str, Any]] = [
    {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 8}},
    {"name": "count", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200}},
    {"name": "deep", "in": "query", "schema": {"type": "boolean"}},
    {"name": "share", "in": "query", "schema": {"type": "number", "maximum": 1}},
    {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "integer"}}},
    {
        "name": "at",
        "in": "query",
        "explode": False,
        "schema": {"type": "array", "maxItems": 2, "items": {"type": "string", "maxLength": 2}},
    },
    {"name": "since", "in": "query", "schema": {"type": "string", "format": "date-time"}},
    {"name": "X-Tenant", "in": "header", "schema": {"type": "string", "pattern": "^[a-z]+$"}},
    {"name": "session", "in": "cookie", "schema": {"type": "string", "minLength": 3}},
]
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "small", "version": "1.0.0"},
    "paths": {
        "/things/{name}": {
            "get": {
                "operationId": "GetThing",
                "parameters": PARAMETERS,
                "responses": {
                    "200": {
                        "description": "ok",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    },
                    "400": {"description": "bad", "content": PROBLEM},
                    "500": {"description": "fault", "content": PROBLEM},
                },
            }
        }
    },
    "components": {"schemas": {"Problem": {"type": "object"}}},
}


def get_thing(ports: ServicePorts, call: Call, name: str, **query: Any) -> Answer:
    return Answer(200, {"name": name, **query})


@pytest.fixture(scope="module")
def service() -> FakeService:
    return FakeService(
        contract=Contract(yaml.safe_dump(DOCUMENT).encode()),
        operations={"GetThing": OpenOperation(handler=get_thing)},
    )


def status(service: FakeService, path: str = "/things/a", **values: Any) -> int:
    return service.ask(path, **values).status_code


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"query_string": "count=1"},
        {"query_string": "count=200&deep=true"},
        {"query_string": "deep=false"},
        {"query_string": "share=0.5"},
        {"query_string": "share=-1e-3"},
        {"query_string": "tag=1&tag=2"},
        {"query_string": "at=aa,b"},
        {"query_string": "since=2026-11-23T07:00:00Z"},
        {"query_string": "unknown=1"},
        {"headers": {"X-Tenant": "abc"}},
        {"headers": {"Cookie": "session=abc"}},
    ],
    ids=str,
)
def test_a_sound_request_is_answered(service: FakeService, values: dict[str, Any]) -> None:
    assert status(service, **values) == 200


NO_COUNTS = ["", "0", "201", "-1", "--5", "-", "1.0", "1e2", "0x1", "%D9%A1", "%2B1", "1%20"]
UNSOUND: list[dict[str, Any]] = [
    {"path": "/things/" + "x" * 9},
    *({"query_string": f"count={text}"} for text in [*NO_COUNTS, "9" * 5000]),
    {"query_string": "deep=1"},
    *({"query_string": f"share={text}"} for text in ("", "1.5", "NaN", "inf", ".5", "1e", "1e999")),
    {"query_string": "tag=1&tag=x"},
    {"query_string": "tag=1,2"},
    {"query_string": "at=a,b,c"},
    {"query_string": "at=abc"},
    {"query_string": "at=a&at=b"},
    {"query_string": "deep=True"},
    {"query_string": "since=yesterday"},
    {"headers": {"X-Tenant": "ABC"}},
    {"headers": {"X-Tenant": ""}},
    {"headers": {"Cookie": "session=a"}},
]


@pytest.mark.parametrize("values", UNSOUND, ids=lambda values: str(values)[:50])
def test_an_unsound_parameter_is_a_400_without_a_code(
    service: FakeService, values: dict[str, Any]
) -> None:
    answer = service.ask(**{"path": "/things/a"} | values)
    assert (answer.status_code, json.loads(answer.data).get("type"), "code" in answer.json) == (
        400,
        "https://plexsphere.com/errors/bad-request",
        False,
    )


def test_a_handler_is_given_what_the_texts_stand_for(service: FakeService) -> None:
    query = "count=7&deep=true&share=0.5&tag=1&tag=2&at=a,b"
    assert service.ask("/things/a", query_string=query).json == {
        "name": "a",
        "count": 7,
        "deep": True,
        "share": 0.5,
        "tag": [1, 2],
        "at": ["a", "b"],
    }


def test_what_was_sent_is_not_sent_back(service: FakeService) -> None:
    answer = service.ask("/things/a", query_string="count=hunter2")
    assert (answer.status_code, b"hunter2" in answer.data) == (400, False)


def test_a_required_parameter_that_is_missing_is_a_400() -> None:
    required = [
        {**parameter, "required": True} for parameter in PARAMETERS if parameter["in"] != "path"
    ]
    document = json.loads(json.dumps(DOCUMENT))
    document["paths"]["/things/{name}"]["get"]["parameters"] = [PARAMETERS[0], *required]
    service = FakeService(
        contract=Contract(yaml.safe_dump(document).encode()),
        operations={"GetThing": OpenOperation(handler=get_thing)},
    )
    assert status(service) == 400


SIZE = {"type": "integer", "minimum": 1, "maximum": 9}
COMBINED: list[dict[str, Any]] = [
    PARAMETERS[0],
    {
        "name": "size",
        "in": "query",
        "schema": {"allOf": [{"$ref": "#/components/schemas/Size"}], "default": 7},
    },
    {
        "name": "share",
        "in": "query",
        "schema": {"oneOf": [SIZE, {"type": "number", "minimum": 10}]},
    },
    {
        "name": "tag",
        "in": "query",
        "schema": {
            "anyOf": [{"type": "array", "items": {"$ref": "#/components/schemas/Size"}}],
        },
    },
]


@pytest.fixture(scope="module")
def combined() -> FakeService:
    """Parameters whose types stand behind references and combinations, one of them twice."""
    document = json.loads(json.dumps(DOCUMENT))
    path = document["paths"]["/things/{name}"]
    path["parameters"] = [{"name": "size", "in": "query", "schema": {"type": "string"}}]
    path["get"]["parameters"] = COMBINED
    document["components"]["schemas"]["Size"] = SIZE
    return FakeService(
        contract=Contract(yaml.safe_dump(document).encode()),
        operations={"GetThing": OpenOperation(handler=get_thing)},
    )


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", {"size": 7}),
        ("size=3", {"size": 3}),
        ("share=9", {"size": 7, "share": 9.0}),
        ("share=10.5", {"size": 7, "share": 10.5}),
        ("tag=1&tag=9", {"size": 7, "tag": [1, 9]}),
    ],
)
def test_a_handler_gets_values_of_the_types_behind_combinations(
    combined: FakeService, query: str, values: dict[str, Any]
) -> None:
    assert combined.ask("/things/a", query_string=query).json == {"name": "a", **values}


@pytest.mark.parametrize("query", ["size=10", "size=x", "tag=1&tag=x", "tag=10", "share=x"])
def test_the_rules_of_a_combination_are_kept(combined: FakeService, query: str) -> None:
    assert status(combined, query_string=query) == 400
