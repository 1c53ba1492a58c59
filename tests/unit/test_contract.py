"""The contract as the runtime reads it: operations, what each declares, the order of methods."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from server.contract.document import Contract
from server.contract.errors import ContractError

CONTRACT = Contract.packaged()


def small(item: dict[str, Any], **rest: Any) -> Contract:
    """A contract of one path."""
    document = {"openapi": "3.0.3", "info": {"version": "1.2.3"}, "paths": {"/a": item}}
    schemas = {"Problem": {"type": "object"}, "Name": {"type": "string", "maxLength": 3}}
    return Contract(yaml.safe_dump(document | {"components": {"schemas": schemas}} | rest).encode())


def operation(**changes: Any) -> dict[str, Any]:
    return {"operationId": "GetA", "responses": {"200": {"description": "ok"}}} | changes


def test_the_packaged_contract_has_the_bytes_of_the_file() -> None:
    assert yaml.safe_load(CONTRACT.raw) == CONTRACT.document


def test_operations_are_found_by_their_published_names() -> None:
    pull = CONTRACT.operations["GetNodeState"]
    assert (pull.method, pull.path, pull.secured) == ("GET", "/v1/nodes/{id}/state", True)


def test_the_statuses_of_the_pull_are_those_of_the_gate_table() -> None:
    statuses = sorted(CONTRACT.operations["GetNodeState"].responses)
    assert statuses == [200, 304, 400, 401, 403, 404, 406, 413, 429, 500, 501, 503]


def test_what_an_operation_produces_leaves_problems_out() -> None:
    assert CONTRACT.operations["GetNodeState"].produces == {"application/json"}


def test_the_blocks_of_a_snapshot_are_checked_on_their_own() -> None:
    media = CONTRACT.operations["GetNodeState"].responses[200].media["application/json"]
    names = {"peers", "reachability", "policy", "bridge", "state", "reports"}
    assert media.blocks is not None
    assert (set(media.blocks.properties), media.blocks.required) == (names, names)


@pytest.mark.parametrize("schema", [{"type": "object"}, {"type": "array", "items": {}}, {}])
def test_what_is_no_object_with_members_is_not_taken_apart(schema: dict[str, Any]) -> None:
    answers = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    contract = small({"get": operation(responses=answers)})
    media = contract.operations["GetA"].responses[200].media["application/json"]
    assert media.blocks is None


IN_ORDER = b"""
info: {version: '1'}
paths:
  /a:
    put: {operationId: PutA, responses: {'200': {description: x}}}
    get: {operationId: GetA, responses: {'200': {description: x}}}
    delete: {operationId: DeleteA, responses: {'200': {description: x}}}
components: {schemas: {Problem: {type: object}}}
"""


def test_methods_stand_in_the_order_of_the_file_and_head_beside_get() -> None:
    assert Contract(IN_ORDER).methods_of("/a") == ("PUT", "GET", "HEAD", "DELETE")


@pytest.mark.parametrize(
    ("own", "document", "secured"),
    [
        ({}, {}, False),
        ({}, {"security": [{"jwt": []}]}, True),
        ({"security": []}, {"security": [{"jwt": []}]}, False),
        ({"security": [{"jwt": []}]}, {}, True),
    ],
)
def test_an_operation_is_secured_by_itself_or_by_the_document(
    own: dict[str, Any], document: dict[str, Any], secured: bool
) -> None:
    contract = small({"get": operation(**own)}, **document)
    assert contract.operations["GetA"].secured is secured


def test_parameters_of_a_path_belong_to_its_operations() -> None:
    name = {"name": "n", "in": "query", "schema": {"$ref": "#/components/schemas/Name"}}
    contract = small({"parameters": [name], "get": operation()})
    (found,) = contract.operations["GetA"].parameters
    seen = (found.name, found.kind, found.required, found.schema_type)
    answers = [found.validator.is_valid(value) for value in ("abc", "abcd")]
    assert (seen, answers) == (("n", "query", False, "string"), [True, False])


def test_references_are_followed_wherever_they_stand() -> None:
    answer = {"description": "ok", "headers": {"X": {"$ref": "#/components/headers/X"}}}
    contract = small(
        {"get": operation(responses={"200": {"$ref": "#/components/responses/A"}})},
        components={
            "schemas": {"Problem": {"type": "object"}, "N": {"type": "integer"}},
            "responses": {"A": answer},
            "headers": {"X": {"required": True, "schema": {"$ref": "#/components/schemas/N"}}},
        },
    )
    (header,) = contract.operations["GetA"].responses[200].headers
    assert (header.name, header.required, header.schema_type) == ("X", True, "integer")


def test_the_version_is_the_one_of_the_file() -> None:
    assert small({"get": operation()}).version == "1.2.3"


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"text", b"a: 1", b"a: [", b"\t", b"a: b: c", b"!!python/object:x.Y {}"]
)
def test_what_is_no_openapi_document_is_a_complaint_about_the_file(raw: bytes) -> None:
    with pytest.raises(ContractError, match=r"^plexsphere-v1\.yaml"):
        Contract(raw)


def test_a_complaint_about_the_file_says_where() -> None:
    with pytest.raises(ContractError, match=r"^plexsphere-v1\.yaml:2:4: "):
        Contract(b"a: 1\nb: ]\n")


@pytest.mark.parametrize("inside", [{"writeOnly": True}, {"allOf": [{"writeOnly": True}]}])
def test_an_object_with_a_member_that_answers_must_not_have_has_no_blocks(
    inside: dict[str, Any],
) -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"secret": {"type": "string"} | inside},
    }
    answers = {"200": {"description": "ok", "content": {"application/json": {"schema": schema}}}}
    media = small({"get": operation(responses=answers)}).operations["GetA"].responses[200].media
    assert media["application/json"].blocks is None
    assert not media["application/json"].validator.is_valid({"secret": "s"})
