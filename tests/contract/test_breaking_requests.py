"""Requests may only be admitted more widely: edits of the real file."""

import pytest

from tests.contract.breaking_edits import (
    PROPERTIES,
    STATE,
    Edit,
    Row,
    assert_breaks,
    assert_harmless,
    both,
    component,
    drop,
    gain,
    lose,
    put,
    rename,
    schema,
)

ID = schema("NodeUuid")
ETAG = component("parameters", "IfNoneMatch")
PARAMETERS = (*STATE, "parameters")
LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 9, "default": 5}}
BODY = (*STATE, "requestBody")
CONTENT = (*BODY, "content", "application/json")
SIZE = "x-max-body-bytes"
VALUE = (*CONTENT, "schema")
RULE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["action"],
    "properties": {"action": {"type": "string", "enum": ["allow", "deny"]}, "note": {}},
}
WITH_LIMIT: Edit = gain(PARAMETERS, LIMIT)
WITH_BODY: Edit = put(BODY, {"content": {"application/json": {"schema": RULE}}})

BREAKING = [
    Row("a required query parameter", gain(PARAMETERS, {**LIMIT, "required": True}), "required"),
    Row("a required header", gain(PARAMETERS, {"name": "X-Tenant", "in": "header", "required": True,
        "schema": {}}), "required header parameter is new"),
    Row("a parameter is gone", drop((*PARAMETERS, 1)), "header parameter is gone"),
    Row("a parameter is now required", put((*ETAG, "required"), True), "now required"),
    Row("a parameter has moved", put((*ETAG, "in"), "query"), "moved from header to query"),
    Row("another style", put((*PARAMETERS, -1, "style"), "spaceDelimited"), "style", WITH_LIMIT),
    Row("not exploded any more", put((*PARAMETERS, -1, "explode"), False), "explode", WITH_LIMIT),
    Row("another default", put((*PARAMETERS, -1, "schema", "default"), 6), "default", WITH_LIMIT),
    Row("a lower limit", put((*PARAMETERS, -1, "schema", "maximum"), 8), "maximum", WITH_LIMIT),
    Row("a pattern for a free text", put((*ETAG, "schema", "pattern"), "^W/"), "pattern none ->"),
    Row("a length for a free text", put((*ETAG, "schema", "maxLength"), 99),
        "maxLength none -> 99"),
    Row("a number instead of a text", put((*ETAG, "schema", "type"), "integer"), "type string"),
    Row("an enum for a free text", put((*ETAG, "schema", "enum"), ["*"]), 'only "*"'),
    Row("a required body", put(BODY, {"required": True, "content": {}}), "required body is new"),
    Row("the body is now required", put((*BODY, "required"), True), "now required", WITH_BODY),
    Row("the body is gone", drop(BODY), "the body is gone", WITH_BODY),
    Row("the body in another form", rename(CONTENT, "application/cbor"), "application/json is gone",
        WITH_BODY),
    Row("a key of the body is gone", drop((*VALUE, PROPERTIES, "note")), "note", WITH_BODY),
    Row("a key of the body is required", gain((*VALUE, "required"), "note"), "now required",
        WITH_BODY),
    Row("a required key more", both(put((*VALUE, PROPERTIES, "by"), {}),
        gain((*VALUE, "required"), "by")), "new and required", WITH_BODY),
    Row("a value less", lose((*VALUE, PROPERTIES, "action", "enum"), "deny"), "loses", WITH_BODY),
    Row("a body is closed", put((*VALUE, "additionalProperties"), False), "unlisted keys",
        both(WITH_BODY, put((*VALUE, "additionalProperties"), True))),
    Row("a shorter body", put((*BODY, SIZE), 100), "x-max-body-bytes 8192 -> 100", WITH_BODY),
    Row("a default that is shorter", drop((*BODY, SIZE)), "x-max-body-bytes 9000 -> 8192",
        both(WITH_BODY, put((*BODY, SIZE), 9000))),
    Row("no number of bytes", put((*BODY, SIZE), "lots"), "8192 -> lots", WITH_BODY),
    Row("null is refused", drop((*VALUE, "nullable")), "null is no longer",
        both(WITH_BODY, put((*VALUE, "nullable"), True))),
    Row("a key is only read", put((*VALUE, PROPERTIES, "note", "readOnly"), True), "note is gone",
        WITH_BODY),
]  # fmt: skip

HARMLESS = [
    Row("an optional query parameter", gain(PARAMETERS, LIMIT), "optional query parameter is new"),
    Row("a parameter need not be given", put((*PARAMETERS, -1, "required"), False),
        "no longer required", gain(PARAMETERS, {**LIMIT, "required": True})),
    Row("no pattern", both(drop((*PARAMETERS, -1, "schema", "pattern"))), "pattern ^a$ -> none",
        gain(PARAMETERS, {"name": "q", "in": "query", "schema": {"pattern": "^a$"}})),
    Row("a higher limit", put((*PARAMETERS, -1, "schema", "maximum"), 99), "maximum", WITH_LIMIT),
    Row("the same style in words", put((*PARAMETERS, -1, "style"), "form"), "", WITH_LIMIT),
    Row("a header's name in capitals", put((*ETAG, "name"), "IF-NONE-MATCH"), ""),
    Row("a parameter of the path's", both(
        put((*STATE[:2], "parameters"), [{"$ref": "#/components/parameters/IfNoneMatch"}]),
        drop((*PARAMETERS, 1))), ""),
    Row("an optional body", put(BODY, {"content": {}}), "optional body is new"),
    Row("the body may be left out", put((*BODY, "required"), False), "no longer required",
        both(WITH_BODY, put((*BODY, "required"), True))),
    Row("the body in another form too", put((*BODY, "content", "application/cbor"), {}),
        "application/cbor is new", WITH_BODY),
    Row("an optional key more", put((*VALUE, PROPERTIES, "by"), {"type": "string"}), "by is new",
        WITH_BODY),
    Row("a key need not be given", drop((*VALUE, "required")), "no longer required", WITH_BODY),
    Row("a value more", gain((*VALUE, PROPERTIES, "action", "enum"), "log"), "gains", WITH_BODY),
    Row("a longer body", put((*BODY, SIZE), 9000), "x-max-body-bytes 8192 -> 9000", WITH_BODY),
    Row("the default in words", put((*BODY, SIZE), 8192), "", WITH_BODY),
    Row("null is accepted", put((*VALUE, "nullable"), True), "null is now", WITH_BODY),
    Row("a body is opened", put((*VALUE, "additionalProperties"), True), "unlisted keys",
        WITH_BODY),
    Row("an order of keys", rename((*VALUE, PROPERTIES, "action"), "action"), "", WITH_BODY),
]  # fmt: skip


@pytest.mark.parametrize("row", BREAKING, ids=str)
def test_a_request_that_was_right_is_no_longer(row: Row) -> None:
    assert_breaks(row)


@pytest.mark.parametrize("row", HARMLESS, ids=str)
def test_a_request_that_was_right_still_is(row: Row) -> None:
    assert_harmless(row)
