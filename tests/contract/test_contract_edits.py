"""An edit that an author makes is served as it reads, or told at its line; never in silence."""

from __future__ import annotations

import re

import pytest

from server.authoring.contract_check import contract_complaints
from server.authoring.operations import Operations
from server.contract.document import Contract
from tests.contract.test_contract_places import SERVED, TEXT

HEARTBEAT = "      requestBody:\n        description: |\n          At most 8,192"
NODE_ID = "        - $ref: '#/components/parameters/NodeId'\n"
FIRST_NODE_ID = "#/paths/~1v1~1nodes~1{id}~1heartbeat/post/parameters/0"
TIMESTAMP = "    Timestamp:\n"


def replaced(after: str, old: str, new: str) -> str:
    """The file, with the first ``old`` behind a text replaced."""
    at = TEXT.index(old, TEXT.index(after))
    return TEXT[:at] + new + TEXT[at + len(old) :]


def complaints(text: str, operations: Operations = SERVED) -> list[tuple[str, str]]:
    """Each complaint: the line from its column on, and the sentence."""
    lines = text.splitlines()
    found = []
    for complaint in contract_complaints(text.encode(), operations):
        file, line, column, sentence = complaint.split(":", 3)
        assert file in ("api/plexsphere-v1.yaml", "handlers/__init__.py")
        shown = lines[int(line) - 1][int(column) - 1 :] if file.startswith("api/") else file
        found.append((shown, sentence.strip()))
    return found


@pytest.mark.parametrize(
    ("name", "shown", "sentence"),
    [
        ("multipart/form-data:", "multipart", "the service reads JSON bodies only"),
        ("application/x-www-form-urlencoded:", "application/x", "the service reads JSON bodies"),
        ("text/plain:", "text/plain", "the service reads JSON bodies only"),
    ],
)
def test_a_body_of_a_media_type_that_is_never_read_is_told_at_the_media_type(
    name: str, shown: str, sentence: str
) -> None:
    ((at, complaint),) = complaints(replaced(HEARTBEAT, "application/json:", name))
    assert at.startswith(shown) and sentence in complaint


@pytest.mark.parametrize(
    ("schema", "admits"),
    [
        ("type: array\n              items: { type: string }", "array"),
        ("type: string", "string"),
        ("oneOf: [{ type: array, items: {} }, { type: boolean }]", "array or boolean"),
        ("allOf: [$ref: '#/components/schemas/Timestamp']", "string"),
    ],
)
def test_a_body_that_no_object_fits_is_told_at_the_media_type(schema: str, admits: str) -> None:
    reference = "$ref: '#/components/schemas/NodeHeartbeatRequest'"
    faults = complaints(replaced(HEARTBEAT, reference, schema))
    sentence = f"application/json: a body must be an object, and the schema admits {admits}"
    assert [(at[:16], line) for at, line in faults] == [("application/json", sentence)]


def test_a_body_that_may_be_an_object_is_not_told() -> None:
    reference = "$ref: '#/components/schemas/NodeHeartbeatRequest'"
    alternatives = f"oneOf: [{{ {reference} }}, {{ type: string }}]"
    assert complaints(replaced(HEARTBEAT, reference, alternatives)) == []


@pytest.mark.parametrize(
    ("old", "new", "at", "sentence"),
    [
        (
            "required: [client_now,",
            "required: [ghost, client_now,",
            "application/json:",
            "application/json: no example of the body is accepted, because of required",
        ),
        (
            "required: [client_now,",
            "required: [",
            "$ref: '#/components/schemas/ClientTimestamp'",
            "PostNodeHeartbeat: the handler cannot read client_now where it is absent",
        ),
    ],
)
def test_a_body_that_is_never_accepted_or_never_read_is_told(
    old: str, new: str, at: str, sentence: str
) -> None:
    assert complaints(replaced("    NodeHeartbeatRequest:", old, new)) == [(at, sentence)]


def test_a_body_longer_than_its_limit_is_told_at_the_media_type() -> None:
    edited = replaced(HEARTBEAT, "required: true", "required: true\n        x-max-body-bytes: 9")
    sentence = "application/json: no example is as short as 9 bytes"
    assert complaints(edited) == [("application/json:", sentence)]


def test_a_value_of_a_type_that_the_ledger_does_not_take_is_told_at_its_member() -> None:
    edited = replaced("    StateEntryWrite:", "value:\n", "value:\n          nullable: true\n")
    told = {sentence.partition(": ")[2] for _, sentence in complaints(edited)}
    assert told == {"the handler cannot read value where it is null"}


def test_a_path_that_is_a_reference_is_told_at_the_reference() -> None:
    path, reference = "  /livez:\n", "'#/paths/~1v1~1nodes~1{id}~1heartbeat'"
    edited = replaced("paths:", path, f"{path}    $ref: {reference}\n")
    assert complaints(edited) == [(reference, "a path needs operations of its own")]


def test_what_is_ignored_beside_a_reference_is_told() -> None:
    member = "client_now:\n"
    edited = replaced("    NodeHeartbeatRequest:", member, f"{member}          readOnly: true\n")
    assert complaints(edited) == [("true", "what stands beside $ref is ignored")]


def test_a_type_of_event_without_a_schema_is_told_at_its_word() -> None:
    edited = replaced(
        "    NodeEvent:", "schemas/PeerAddedEvent'\n          peer_r", "Gone'\n          peer_r"
    )
    assert complaints(edited) == [
        ("'#/components/Gone'", "$ref #/components/Gone points to nothing")
    ]


def test_an_enum_value_of_another_type_is_told_at_the_value() -> None:
    edited = replaced("    Limit:", "type: integer\n", "type: integer\n        enum: [50, on, 2]\n")
    (complaint,) = complaints(edited)
    assert complaint == ("on, 2]", 'the enum value "on" is of another type than integer')


def test_a_reference_into_another_operation_is_followed() -> None:
    edited = replaced("/events:", NODE_ID, f"        - $ref: '{FIRST_NODE_ID}'\n")
    assert complaints(edited) == []


@pytest.mark.parametrize("target", [FIRST_NODE_ID.replace("post", "put"), "other.yaml#/a"])
def test_a_reference_to_nothing_is_told_at_the_reference(target: str) -> None:
    edited = replaced("/events:", NODE_ID, f"        - $ref: '{target}'\n")
    (complaint,) = complaints(edited)
    assert complaint == (f"'{target}'", f"$ref {target} points to nothing in this file")


def test_a_reference_into_a_schema_of_another_component_is_followed() -> None:
    part = "$ref: '#/components/schemas/Problem/properties/title'"
    edited = replaced(
        "    Limit:",
        "    Limit:\n",
        f"    Title: {{ name: t, in: query, schema: {{ {part} }} }}\n    Limit:\n",
    )
    assert complaints(edited) == []


def test_a_merged_mapping_with_an_override_is_served_and_told_where_it_is_written() -> None:
    merged = (
        "    Other: { <<: *limit, name: other, description: Another. }\n\n    IdempotencyKey:\n"
    )
    edited = replaced("    Limit:", "    Limit:\n", "    Limit: &limit\n")
    edited = edited.replace("    IdempotencyKey:\n", merged, 1)
    assert complaints(edited) == []
    smaller = edited.replace("        maximum: 200\n", "        maximum: 20\n", 1)
    assert set(complaints(smaller)) == {("50", "50 is greater than the maximum of 20")}


def test_a_fault_in_a_component_is_told_where_it_stands_and_once() -> None:
    edited = replaced(TIMESTAMP, "format: date-time", "format: date-tmie")
    (complaint,) = complaints(edited)
    assert complaint[0].startswith("date-tmie")
    assert edited.count("schemas/Timestamp'") > 1


def test_a_fault_in_a_component_without_a_user_is_told() -> None:
    unused = "    Unused: { type: object, properties: { a: { type: string, format: nope } } }\n"
    (complaint,) = complaints(replaced("  schemas:", "    Problem:\n", f"{unused}    Problem:\n"))
    assert complaint[0].startswith("nope")


def test_faults_of_several_parts_are_told_at_once() -> None:
    edited = replaced(TIMESTAMP, "format: date-time", "format: date-tmie")
    edited = edited.replace("format: int32", "format: int33")
    edited = edited.replace("      operationId: GetLivez\n", "      operationId: GetLives\n")
    sentences = [sentence for _, sentence in complaints(edited)]
    assert sum("date-tmie" in sentence for sentence in sentences) == 1
    assert sum("int33" in sentence for sentence in sentences) == TEXT.count("format: int32")
    assert "operation GetLives of the contract has no handler" in sentences
    assert "handler GetLivez has no operation in the contract" in sentences


def test_faults_of_the_shape_are_told_at_once() -> None:
    edited = replaced("    NodeId:", "name:", "nmae:")
    edited = edited.replace("      type: integer\n", "      type: intger\n", 1)
    sentences = [sentence for _, sentence in complaints(edited)]
    assert any("nmae" in sentence for sentence in sentences)
    assert any("intger" in sentence for sentence in sentences)


def test_an_operation_with_another_name_is_told_with_every_link_to_it() -> None:
    edited = TEXT.replace("      operationId: GetNodeState\n", "      operationId: PullState\n", 1)
    links = len(re.findall(r"^          +operationId: GetNodeState$", TEXT, re.MULTILINE))
    faults = complaints(edited)
    dangling = [at for at, sentence in faults if "the link names GetNodeState" in sentence]
    assert dangling == ["GetNodeState"] * links and links > 1
    assert [sentence for _, sentence in faults if "link" not in sentence] == [
        "operation PullState of the contract has no handler",
        "handler GetNodeState has no operation in the contract",
    ]


def small(parameter: str, more: str = "") -> Contract:
    """A contract of one operation with one parameter, and components."""
    return Contract(
        f"""
openapi: 3.0.3
info: {{ title: small, version: '1' }}
paths:
  /a:
    get:
      operationId: GetA
      parameters: [{parameter}]
      responses: {{ '200': {{ description: ok }} }}
components:
  schemas:
    Problem: {{ type: object }}
    Size: {{ type: integer, maximum: 200, default: 9 }}
    Switch: {{ type: string, enum: [on, off] }}
    Times: {{ type: array, items: {{ type: string, enum: [12:30, 13:00] }} }}
{more}""".encode()
    )


REFERENCE = "$ref: '#/components/schemas/"


@pytest.mark.parametrize(
    ("schema", "schema_type", "default", "sound", "unsound"),
    [
        (f"{{ {REFERENCE}Size' }}", "integer", 9, 200, 201),
        (f"{{ allOf: [{REFERENCE}Size'], default: 50 }}", "integer", 50, 200, 201),
        (f"{{ allOf: [{REFERENCE}Size'] }}", "integer", 9, 200, 201),
        (
            f"{{ oneOf: [{REFERENCE}Size', {{ type: integer, minimum: 500 }}] }}",
            "integer",
            None,
            500,
            300,
        ),
        ("{ anyOf: [{ type: integer }, { type: number }] }", "number", None, 0.5, "x"),
        (f"{{ {REFERENCE}Switch' }}", "string", None, "on", True),
        ("{ type: string, enum: [yes, no, y] }", "string", None, "no", False),
        ("{ maxLength: 3 }", "string", None, "abc", "abcd"),
        ("{ enum: [1, 50] }", "integer", None, 50, 2),
    ],
)
def test_a_parameter_has_the_type_behind_its_references_and_combinations(
    schema: str, schema_type: str, default: object, sound: object, unsound: object
) -> None:
    contract = small(f"{{ name: n, in: query, schema: {schema} }}")
    (found,) = contract.operations["GetA"].parameters
    seen = (found.schema_type, found.default, found.has_value)
    assert seen == (schema_type, default, default is not None)
    assert [found.validator.is_valid(value) for value in (sound, unsound)] == [True, False]


def test_the_items_of_a_parameter_have_the_type_behind_their_references() -> None:
    contract = small(f"{{ name: n, in: query, schema: {{ allOf: [{REFERENCE}Times'] }} }}")
    (found,) = contract.operations["GetA"].parameters
    assert (found.schema_type, found.item_type) == ("array", "string")
    assert found.validator.is_valid(["12:30"]) and not found.validator.is_valid([750])


def test_a_parameter_of_several_types_is_told() -> None:
    with pytest.raises(Exception, match="a text needs one type, and this value may be boolean or"):
        small("{ name: n, in: query, schema: { oneOf: [{ type: boolean }, { type: string }] } }")


def test_the_parameter_of_an_operation_replaces_that_of_its_path() -> None:
    text = TEXT.replace(
        "  /livez:\n    get:\n",
        "  /livez:\n    parameters: [{ name: X-Correlation-Id, in: header, schema: {} }]\n"
        "    get:\n",
        1,
    )
    names = [
        parameter.name for parameter in Contract(text.encode()).operations["GetLivez"].parameters
    ]
    assert text != TEXT and names.count("X-Correlation-Id") == 1
