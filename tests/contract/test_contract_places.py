"""A fault inside the contract is reported with its line and column.

The edits are those of an excerpt: a check costs as much as the file has operations.
"""

from __future__ import annotations

import re

import pytest

from handlers import OPERATIONS
from handlers.answers import Answer, Call
from handlers.operation import OpenOperation
from handlers.service import ServicePorts
from server.authoring.contract_check import contract_complaints
from server.contract.document import Contract
from tests.excerpts import excerpt

SERVED = {
    name: OPERATIONS[name]
    for name in (
        "GetNodeState",
        "GetNodeEvents",
        "PostNodeHeartbeat",
        "PutNodeStateReport",
        "ListDomainNodes",
        "RegisterNode",
        "GetLivez",
        "GetVersion",
        "GetDocs",
        "GetOpenapi",
    )
}
TEXT = excerpt(Contract.packaged().raw.decode(), SERVED)
INTERNAL = "        '500': { $ref: '#/components/responses/InternalServerError' }\n"
UNKNOWN = "        '400': { $ref: '#/components/responses/UnknownQueryParameter' }\n"
NOT_FOUND = "        '404': { $ref: '#/components/responses/NodeNotFound' }\n"
VERSION = "              schema:\n                $ref: '#/components/schemas/Version'\n"
REQUIRED = "      required: [type, title, status, detail, instance, correlation_id"
SIZE = "required: true\n        x-max-body-bytes"
RING = (
    "    Round: { $ref: '#/components/responses/About' }\n"
    "    About: { $ref: '#/components/responses/Round' }\n"
)


def nested(times: int) -> str:
    return "[" * times + "]" * times


# name: after this text, the next of this is replaced; what is told, and the text it is told at
EDITS = {
    "format": ("headers:", "format: int32", "format: int33", "format 'int33' has no", "int33"),
    "pattern": ("headers:", "pattern: ^W/", "pattern: ^(W/", "pattern does not compile", "^(W/"),
    "range": ("/events:", INTERNAL, INTERNAL.replace("500", "5XX"), "status 5XX is no", "{ $ref"),
    "switch": ("/livez:", "get:\n", "get:\n      x-strict-query: 'on'\n", "x-strict-q", "'on'"),
    "body": ("/heartbeat:", "        required: true\n", "", "needs required", "description: |"),
    "size": ("/heartbeat:", "required: true\n", f"{SIZE}: lots\n", "x-max-body-bytes must", "lots"),
    "no size": ("/heartbeat:", "required: true\n", f"{SIZE}: 0\n", "a whole number from 1", "0"),
    "yes": ("/heartbeat:", "required: true\n", f"{SIZE}: true\n", "a whole number from 1", "true"),
    "schema": ("/v1/version:", VERSION, "", "schema is missing here", "example:"),
    "nullable": ("enabled:", "type: boolean", "nullable: true", "nullable needs a type", "true"),
    "ring": (
        "  responses:\n    #",
        "    PullNotModified:\n",
        RING + "    PullNotModified:\n",
        "",
        "",
    ),
    "500": ("/livez:", INTERNAL, "", "GetLivez can answer 500 without a code", "'200':"),
    "400": ("/v1/version:", UNKNOWN, "", "GetVersion can answer 400 unknown_query", "'200':"),
    "413": (
        "/docs:",
        "responses/PayloadTooLarge",
        "responses/NotAcceptable",
        "GetDocs can answer 413 payload_too_large",
        "{ $ref",
    ),
    "Problem": ("    Problem:\n", REQUIRED, REQUIRED + ", code", "body required code", "code]"),
    "detail": ("        detail:", "maxLength: 256", "maxLength: 20", "/detail", "20"),
    "code": ("        code:", "            - node_not_found\n", "", "404 node_not_found", "- inv"),
    "header": (
        "    RetryAfter:",
        "maximum: 3600",
        "maximum: 4",
        "header Retry-After maximum",
        "4",
    ),
    "scheme": ("/livez:", "security: []", "security: [nope: []]", "nope is not in", "nope: []"),
    "document": ("servers:", "  - nodeAgentJWT: []", "  - jwt: []", "jwt is not in", "jwt: []"),
    "place": ("    NodeId:", "in: path", "in: paht", "'paht' is not one of ['path', 'q", "paht"),
    "style": ("    Limit:", "query\n", "query\n      style: x\n", "'x' is not one of ['form'", "x"),
    "deep object": (
        "    Cursor:",
        "query\n",
        "query\n      style: deepObject\n",
        "in query, only style form is read",
        "deepObject",
    ),
    "matrix": (
        "    EntryKey:",
        "in: path\n",
        "in: path\n      style: matrix\n",
        "in path, only style simple is read",
        "matrix",
    ),
    "exploded": (
        "    IfNoneMatch:",
        "      schema:\n        type: string\n",
        "      explode: true\n      schema: { type: array, items: { type: string } }\n",
        "only in query an array is exploded",
        "true",
    ),
    "of objects": (
        "    RequestCorrelationId:",
        "        type: string",
        "        type: object",
        "no text is read as an object",
        "name: X-C",
    ),
    **{
        f"header of type {kind}": (
            "    RetryAfter:",
            "type: integer\n        format: int32\n        minimum: 1\n        maximum: 3600\n",
            f"type: {kind}\n        items: {{ type: integer }}\n",
            f"a header of type {kind} has no check",
            f"type: {kind}",
        )
        for kind in ("number", "boolean", "array")
    },
    "misspelled": ("    NodeId:", "name:", "nmae:", "the key nmae is unknown here", "nmae:"),
    "default": ("    Limit:", "default: 50\n", "default: 5000\n", "maximum of 200", "5000"),
    "of no type": ("    Limit:", "default: 50\n", "default: abc\n", 'not of type "integer"', "abc"),
    "tag": ("info:", "title: ", "title: !no ", "the tag !no is unknown here", "!no"),
    "key": ("info:", "  title:", "  {a: b}: c\n  title:", "a key must be a text", "{a: b}: c"),
    "bell": ("info:", "title: ", "title: Ä\a", "control characters are not allowed", "\a"),
    "deep": ("info:", "title: ", f"title: {nested(200)} #", "nested more than 100 deep", "[["),
    "deeper": ("info:", "title: ", f"title: {nested(3000)} #", "nested more than 100 deep", "[["),
    "kind": ("components:", "  headers:", "  haeders:", "the key haeders is unknown", "haeders:"),
    "unserved": (
        "x-unserved:",
        "  - { method: put, ",
        "  - { ",
        "an entry has the texts",
        "{ path",
    ),
    "no list": ("x-unserved:", "x-unserved:\n", "x-unserved: 1\nx-:\n", "must be a list", "1"),
    "no number": ("    Limit:", "maximum: 200", "maximum: .inf", ".inf is no float", ".inf"),
    "itself": ("info:", "title: ", "title: &a [*a] #", "or into itself", "&a"),
}


def edited(after: str, old: str, new: str) -> tuple[str, int]:
    """The file with one edit, and where it was made."""
    at = TEXT.index(old, TEXT.index(after))
    return TEXT[:at] + new + TEXT[at + len(old) :], at


@pytest.mark.parametrize("name", [name for name in EDITS if name != "ring"])
def test_a_fault_inside_the_contract_is_told_at_its_line_and_column(name: str) -> None:
    after, old, new, complaint, at = EDITS[name]
    text, _ = edited(after, old, new)
    complaints = contract_complaints(text.encode(), SERVED)
    assert complaints
    file, line, column, sentence = complaints[0].split(":", 3)
    assert (file, complaint in sentence) == ("api/plexsphere-v1.yaml", True), complaints
    shown = text.splitlines()[int(line) - 1][int(column) - 1 :]
    assert shown.startswith(at), (complaints[0], shown)


def test_bytes_that_are_no_text_are_told_at_their_line_and_column() -> None:
    raw = edited("info:", "title: ", "title: Ä@@")[0].encode().replace(b"@@", b"\xff", 1)
    line = raw[: raw.index(b"\xff")].count(b"\n") + 1
    complaints = contract_complaints(raw, SERVED)
    assert complaints == [
        f"api/plexsphere-v1.yaml:{line}:11: unacceptable character #xff: "
        "invalid leading UTF-8 octet"
    ]


def test_a_file_of_another_encoding_is_told() -> None:
    complaints = contract_complaints(TEXT.encode("utf-16"), SERVED)
    assert complaints == ["api/plexsphere-v1.yaml:1:1: the file must be UTF-8, and it is UTF-16"]


def test_a_schema_that_was_renamed_is_one_line_however_often_it_is_used() -> None:
    (complaint,) = contract_complaints(
        edited("  schemas:", "    Problem:\n", "    Problm:\n")[0].encode(), OPERATIONS
    )
    used = TEXT.count("'#/components/schemas/Problem'")
    assert complaint.endswith(f"schemas/Problem points to nothing in this file; {used - 1} more do")


def test_references_that_lead_to_each_other_are_told_and_do_not_hang() -> None:
    after, old, new, *_ = EDITS["ring"]
    text, _ = edited(after, old, new)
    text = text.replace(NOT_FOUND, NOT_FOUND.replace("NodeNotFound", "Round"), 1)
    (complaint,) = contract_complaints(text.encode(), SERVED)
    assert complaint.endswith("$ref #/components/responses/About leads to itself")


def test_every_operation_that_lacks_its_500_is_told_at_once() -> None:
    complaints = contract_complaints(TEXT.replace(INTERNAL, "").encode(), SERVED)
    named = re.findall(r"(\w+) can answer 500", "\n".join(complaints))
    assert sorted(named) == sorted(SERVED)


def test_a_parameter_whose_refusal_is_not_declared_is_told() -> None:
    """A bad ``size`` is a 400 without a code, which would itself be withheld as a breach."""
    size = "        - { name: size, in: query, schema: { type: integer, maximum: 9 } }\n"
    after = "operationId: GetLivez"
    text, _ = edited(after, "      parameters:\n", "      parameters:\n" + size)

    def get_livez(ports: ServicePorts, call: Call, size: int | None = None) -> Answer:
        raise AssertionError("not called here")

    complaints = contract_complaints(
        text.encode(), {**SERVED, "GetLivez": OpenOperation(handler=get_livez)}
    )
    assert len(complaints) == 1 and "GetLivez can answer 400 without a code" in complaints[0]
