"""OpenAPI 3.0 schemas as compiled validators: every format asserted, null only where allowed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from server.contract.errors import PartError
from server.contract.schemas import Direction, SchemaCompiler, Validator, ValueFault

UUID_TEXT = "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a2"
COMPONENTS: dict[str, Any] = {
    "Port": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 65535},
    "Block": {
        "type": "object",
        "nullable": True,
        "additionalProperties": False,
        "required": ["port"],
        "properties": {"port": {"$ref": "#/components/schemas/Port"}},
    },
    "Tree": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}
        },
    },
}


def compiled(schema: dict[str, Any], direction: Direction = Direction.ANSWER) -> Validator:
    compiler = SchemaCompiler({"components": {"schemas": COMPONENTS}})
    return compiler.compile(schema, direction)


def valid(schema: dict[str, Any], value: object, direction: Direction = Direction.ANSWER) -> bool:
    return compiled(schema, direction).is_valid(value)


def text(name: str) -> dict[str, Any]:
    return {"type": "string", "format": name}


SOUND = {
    "uuid": [UUID_TEXT, UUID_TEXT.upper(), "00000000-0000-0000-0000-000000000000"],
    "byte": ["", "aGVsbG8=", "aGVsbA==", "aGVsbG8h", "+/+/"],
    "date-time": [
        "2026-11-23T07:00:00Z",
        "2026-11-23T07:00:00.25Z",
        "0001-01-01T00:00:00Z",
        "2024-02-29T23:59:59.123456789Z",
    ],
    "uri": ["https://plexsphere.com/errors/not-found", "about:blank"],
}
UNSOUND = {
    "uuid": [
        "",
        "x",
        UUID_TEXT.replace("-", ""),
        f"{{{UUID_TEXT}}}",
        f"urn:uuid:{UUID_TEXT}",
        UUID_TEXT[:-1],
        UUID_TEXT + "0",
        UUID_TEXT.replace("0190b2c4", "0190b2cg"),
        f" {UUID_TEXT}",
    ],
    "byte": ["a", "aGVsbG8", "aGVsbG8==", "aGVs bG8=", "_-_-", "=", "aGVsbG8=\n\n", "é==="],
    "date-time": [
        "",
        "2026-11-23",
        "2026-11-23 07:00:00Z",
        "2026-11-23T07:00:00",
        "2026-13-23T07:00:00Z",
        "2026-02-30T07:00:00Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23t07:00:00Z",
        "2026-11-23T07:00:00z",
        "2026-11-23T07:00:00.Z",
        "0000-00-00T00:00:00Z",
    ],
    "uri": ["", "no uri", "/relative", "https://exa mple"],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in SOUND.items() for v in vs])
def test_a_text_of_its_format_is_valid(name: str, value: str) -> None:
    assert valid(text(name), value) is True


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in UNSOUND.items() for v in vs])
def test_a_text_that_is_not_of_its_format_is_invalid(name: str, value: str) -> None:
    assert valid(text(name), value) is False


@pytest.mark.parametrize(
    "value", ["2024-02-29T23:59:59+05:45", "2026-11-23T07:00:00.50Z", "2026-11-23T07:00:00.0Z"]
)
def test_a_moment_of_another_form_is_received_and_never_sent(value: str) -> None:
    assert valid(text("date-time"), value, Direction.REQUEST)
    assert not valid(text("date-time"), value)


@pytest.mark.parametrize(("name", "bits"), [("int32", 32), ("int64", 64)])
def test_an_integer_reaches_as_far_as_its_format(name: str, bits: int) -> None:
    schema = {"type": "integer", "format": name}
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert [valid(schema, value) for value in (low - 1, low, 0, high, high + 1)] == [
        False,
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("value", [5.0, "5", True, None, [5]], ids=repr)
def test_only_an_integer_is_an_integer(value: object) -> None:
    assert valid({"type": "integer", "format": "int32"}, value) is False


def test_a_format_without_a_check_is_refused_when_compiled() -> None:
    with pytest.raises(PartError, match="hostname"):
        compiled({"type": "string", "format": "hostname"})


def test_a_format_without_a_check_is_refused_however_deep_it_stands() -> None:
    deep = {"type": "array", "items": {"type": "object", "properties": {"x": text("phone")}}}
    with pytest.raises(PartError, match="phone"):
        compiled(deep)


@pytest.mark.parametrize("schema", [{"$ref": "#/components/schemas/Block"}, COMPONENTS["Block"]])
def test_a_nullable_object_may_be_null(schema: dict[str, Any]) -> None:
    assert valid(schema, None) is True


@pytest.mark.parametrize(
    "value", [{}, {"port": 0}, {"port": 1, "x": 1}, {"port": None}, []], ids=repr
)
def test_a_nullable_object_is_otherwise_an_object_like_any_other(value: object) -> None:
    assert valid({"$ref": "#/components/schemas/Block"}, value) is False


@pytest.mark.parametrize("kind", ["string", "integer", "array", "object", "boolean", "number"])
def test_what_is_not_nullable_may_not_be_null(kind: str) -> None:
    assert valid({"type": kind}, None) is False


def test_a_nullable_enumeration_has_null_among_its_values() -> None:
    schema = {"type": "string", "nullable": True, "enum": ["a"]}
    assert [valid(schema, value) for value in ("a", None, "b")] == [True, True, False]


def test_a_lower_bound_that_is_excluded_is_excluded() -> None:
    schema = {"type": "integer", "minimum": 0, "exclusiveMinimum": True}
    assert [valid(schema, value) for value in (0, 1)] == [False, True]


@pytest.mark.parametrize("combiner", ["allOf", "anyOf", "oneOf"])
def test_formats_are_asserted_inside_a_combination(combiner: str) -> None:
    schema = {combiner: [text("uuid")]}
    assert [valid(schema, value) for value in (UUID_TEXT, "x")] == [True, False]


def test_a_pattern_and_a_format_are_both_asserted() -> None:
    schema = text("uuid") | {"pattern": "^0190", "minLength": 36, "maxLength": 36}
    assert [valid(schema, value) for value in (UUID_TEXT, "1" + UUID_TEXT[1:], "0190")] == [
        True,
        False,
        False,
    ]


def test_a_format_stands_beside_an_all_of() -> None:
    schema = text("uuid") | {"allOf": [{"pattern": "^0190"}]}
    assert [valid(schema, value) for value in (UUID_TEXT, "1" + UUID_TEXT[1:], "0190")] == [
        True,
        False,
        False,
    ]


def test_properties_may_be_named_like_the_words_of_a_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "format": text("uuid"),
            "title": {"type": "string"},
            "nullable": text("byte"),
        },
        "additionalProperties": False,
    }
    answers = [valid(schema, {"format": value, "title": "t"}) for value in (UUID_TEXT, "x")]
    assert answers == [True, False]


def test_a_schema_may_refer_to_itself() -> None:
    schema = {"$ref": "#/components/schemas/Tree"}
    answers = [valid(schema, {"children": [{"children": [leaf]}]}) for leaf in ({}, {"x": 1})]
    assert answers == [True, False]


def test_annotations_and_extensions_are_no_rules() -> None:
    schema = {"type": "string", "description": "d", "example": 7, "x-anything": {"type": "integer"}}
    assert [valid(schema, value) for value in ("", "d", 7)] == [True, True, False]


def test_a_schema_is_left_as_it_was() -> None:
    schema = copy.deepcopy(COMPONENTS["Block"])
    compiled(schema)
    assert schema == COMPONENTS["Block"]


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"children": [{"children": [{"x": 1}]}]}, "/children/0/children/0"),
        ({"children": {}}, "/children"),
        ([], ""),
    ],
    ids=repr,
)
def test_a_fault_says_where(value: object, pointer: str) -> None:
    fault = compiled({"$ref": "#/components/schemas/Tree"}).fault(value)
    assert fault is not None and fault.pointer == pointer


def test_a_fault_names_the_rule_and_never_the_value() -> None:
    validator = compiled({"type": "string", "maxLength": 3})
    fault = validator.fault("hunter2")
    assert fault == ValueFault("", fault.rule if fault else "")
    assert fault.rule.endswith("/maxLength") and "hunter2" not in repr(fault)


def test_a_key_with_a_slash_or_a_tilde_is_escaped_in_a_pointer() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    fault = compiled(schema).fault({"a/b~c": "x"})
    assert fault is not None and fault.pointer == "/a~1b~0c"


def test_a_sound_value_has_no_fault() -> None:
    assert compiled(text("uuid")).fault(UUID_TEXT) is None


def test_a_required_member_that_is_missing_is_named() -> None:
    fault = compiled({"type": "object", "required": ["a"]}).fault({})
    assert fault is not None and (fault.pointer, fault.member) == ("", "a")


def test_an_undeclared_member_is_named() -> None:
    fault = compiled({"type": "object", "properties": {"b": {}}}).fault({"a": 1})
    assert fault is not None and (fault.pointer, fault.member) == ("", "a")


def test_a_fault_inside_a_member_is_that_of_the_member() -> None:
    schema = {"type": "object", "properties": {"a/b": {"type": "array", "items": text("uuid")}}}
    fault = compiled(schema).fault({"a/b": ["x"]})
    assert fault is not None and (fault.pointer, fault.member) == ("/a~1b/0", "a/b")


@pytest.mark.parametrize(
    "reference",
    [
        "#/components/schemas/Block/properties/port",
        "#/components/parameters/a~1b/schema",
        "#/components/parameters/%7Bc%7D/schema",
        "#/paths/~1v1~1%7Bid%7D/get/parameters/0/schema",
    ],
)
def test_a_reference_may_lead_anywhere_in_the_file(reference: str) -> None:
    port = {"schema": {"$ref": "#/components/schemas/Port"}}
    document = {
        "components": {"schemas": COMPONENTS, "parameters": {"a/b": port, "{c}": port}},
        "paths": {"/v1/{id}": {"get": {"parameters": [port]}}},
    }
    validator = SchemaCompiler(document).compile({"$ref": reference})
    assert [validator.is_valid(value) for value in (0, 1, "1")] == [False, True, False]


@pytest.mark.parametrize(
    ("schema", "sentence", "key"),
    [
        ({"type": "string", "enum": ["a", True]}, "true is of another type than string", 1),
        ({"type": "integer", "enum": [1, True]}, "true is of another type than integer", 1),
        ({"type": "boolean", "enum": [0]}, "0 is of another type than boolean", 0),
        ({"type": "string", "enum": [None]}, "null is of another type than string", 0),
    ],
)
def test_an_enum_value_that_its_type_forbids_is_told(
    schema: dict[str, Any], sentence: str, key: int
) -> None:
    with pytest.raises(PartError, match=sentence) as raised:
        compiled(schema)
    assert (raised.value.part, raised.value.key) == (schema["enum"], key)


@pytest.mark.parametrize("deep", [False, True])
def test_a_schema_that_the_library_does_not_compile_is_told_at_its_innermost_part(
    deep: bool,
) -> None:
    wrong = {"multipleOf": 0}
    components = {"Deep": {"type": "array", "items": wrong}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Deep"} if deep else wrong]}
    with pytest.raises(PartError) as raised:
        SchemaCompiler({"components": {"schemas": components}}).compile(schema)
    assert raised.value.part is wrong


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("#/components/schemas/None", "points to nothing"),
        ("other.yaml#/a", "points to nothing"),
        ("#/components/schemas/Round", "leads to itself"),
        ("#/components/schemas/Block/required", "leads to no object"),
    ],
)
def test_a_reference_without_a_schema_at_its_end_is_told(target: str, sentence: str) -> None:
    components = {**COMPONENTS, "Round": {"$ref": "#/components/schemas/Round"}}
    with pytest.raises(PartError, match=sentence):
        SchemaCompiler({"components": {"schemas": components}}).compile({"$ref": target})
