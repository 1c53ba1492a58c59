"""Members of objects: of one direction alone, and undeclared ones."""

from __future__ import annotations

from typing import Any

import pytest

from server.contract.schemas import Direction
from tests.unit.test_schemas import COMPONENTS, UUID_TEXT, text, valid

READ_ONLY: dict[str, Any] = {"type": "string", "readOnly": True}
WRITE_ONLY: dict[str, Any] = {"type": "string", "writeOnly": True}
HALVES = {"id": READ_ONLY, "secret": WRITE_ONLY, "name": {"type": "string"}}
COMPONENTS["ReadOnlyId"] = READ_ONLY
COMPONENTS["Thing"] = {"type": "object", "required": ["id", "name"], "properties": HALVES}
BOTH = {"type": "object", "required": ["id", "secret", "name"], "properties": HALVES}
# name: schemas of an object with an id that only answers have
WITH_ID = {
    "inline": BOTH,
    "reference": {"$ref": "#/components/schemas/Thing"},
    "combined": {"allOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "object"}]},
    "required elsewhere": {"allOf": [{"properties": HALVES}, {"required": ["id", "name"]}]},
    "required around": {"allOf": [{"properties": HALVES}], "required": ["id", "name"]},
    "required by a component": {
        "properties": {"id": READ_ONLY},
        "allOf": [{"$ref": "#/components/schemas/Thing"}],
    },
    "referred to": {
        "required": ["id", "name"],
        "properties": {"id": {"$ref": "#/components/schemas/ReadOnlyId"}, "name": {}},
    },
    "combined itself": {
        "required": ["id", "name"],
        "properties": {"id": {"allOf": [{"$ref": "#/components/schemas/ReadOnlyId"}]}, "name": {}},
    },
}


@pytest.mark.parametrize("name", WITH_ID)
def test_a_read_only_member_is_required_of_answers_and_forbidden_in_requests(name: str) -> None:
    schema = WITH_ID[name]
    rest = {"name": "n"} | ({"secret": "s"} if name == "inline" else {})
    request = [valid(schema, value, Direction.REQUEST) for value in (rest, {**rest, "id": "i"})]
    assert request == [True, False]
    rest.pop("secret", None)
    assert [valid(schema, value) for value in (rest, {**rest, "id": "i"})] == [False, True]


def test_a_write_only_member_is_required_of_requests_and_forbidden_in_answers() -> None:
    whole = {"name": "n", "secret": "s"}
    assert valid(BOTH, whole, Direction.REQUEST)
    assert not valid(BOTH, {"name": "n"}, Direction.REQUEST)
    assert valid(BOTH, {"name": "n", "id": "i"})
    assert not valid(BOTH, {**whole, "id": "i"})


def test_an_object_around_one_with_read_only_members_is_not_touched() -> None:
    schema = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": text("uuid"), "inner": {"$ref": "#/components/schemas/Thing"}},
    }
    assert [valid(schema, value, Direction.REQUEST) for value in ({}, {"id": UUID_TEXT})] == [
        False,
        True,
    ]


NAMED = {"type": "object", "properties": {"name": {}}}
COMPONENTS["Named"] = NAMED
# name: an open schema, a value of listed members, a value with one more
OPEN = {
    "inline": (NAMED, {"name": 1}, {"name": 1, "x": 1}),
    "inside": ({"type": "array", "items": NAMED}, [{"name": 1}], [{"x": 1}]),
    "combined": (
        {"allOf": [{"$ref": "#/components/schemas/Named"}, {"properties": {"size": {}}}]},
        {"name": 1, "size": 2},
        {"name": 1, "size": 2, "x": 1},
    ),
    "combined with its own": (
        {"properties": {"size": {}}, "oneOf": [{"$ref": "#/components/schemas/Named"}]},
        {"name": 1, "size": 2},
        {"name": 1, "x": 1},
    ),
    "inside of a combined one": (
        {"allOf": [{"properties": {"inner": {"$ref": "#/components/schemas/Named"}}}]},
        {"inner": {"name": 1}},
        {"inner": {"x": 1}},
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_an_open_object_has_the_listed_members_only_where_it_is_sent(name: str) -> None:
    schema, listed, more = OPEN[name]
    answers = [valid(schema, value) for value in (listed, more)]
    assert answers == [True, False]
    assert valid(schema, more, Direction.REQUEST)


def test_an_object_that_is_excluded_is_excluded_with_every_member() -> None:
    schema = {"properties": {"name": {}, "size": {}}, "not": {"required": ["name"], **NAMED}}
    assert not valid(schema, {"name": 1, "size": 2})


def test_an_object_that_the_file_opens_in_words_may_have_any_member() -> None:
    free = NAMED | {"additionalProperties": True, "x-free-keys": True}
    assert valid(free, {"x": 1})
    assert valid({"type": "object"}, {"x": 1})
