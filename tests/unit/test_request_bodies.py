"""Request bodies through Flask alone: sizes, codings, kinds, and every way JSON can be odd."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zlib
from typing import Any

import flask
import pytest

from handlers.refusals import (
    BINARY_CHECKSUM_EMPTY,
    BINARY_VERSION_EMPTY,
    MALFORMED_HEARTBEAT_REQUEST,
    PAYLOAD_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    RefusalKind,
    Refused,
)
from server.contract import DEFAULT_BODY_MAX, Contract
from server.request_bodies import inflated
from server.request_validation import BODY_REFUSALS, checked_body
from tests.bodies import example_body

CONTRACT = Contract.packaged()
OPERATION = "PostNodeHeartbeat"
APP = flask.Flask(__name__)
EXAMPLE: dict[str, Any] = {**(example_body(OPERATION) or {}), "nat_summary": {}}
GOOD = json.dumps(EXAMPLE).encode()


def body_of(
    raw: bytes, content_type: str | None = "application/json", chunked: bool = False, **headers: str
) -> dict[str, Any] | RefusalKind:
    """What one request's body becomes."""
    contract = CONTRACT.operations[OPERATION].body
    assert contract is not None
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    environ: dict[str, Any] = {"wsgi.input_terminated": True} if chunked else {}
    with APP.test_request_context(
        "/",
        method="POST",
        headers=given,
        content_type=content_type,
        input_stream=io.BytesIO(raw),
        content_length=None if chunked else len(raw),
        environ_overrides=environ,
    ):
        try:
            return checked_body(contract, BODY_REFUSALS[OPERATION])
        except Refused as refused:
            return refused.kind


def with_member(**changes: Any) -> bytes:
    return json.dumps(EXAMPLE | changes).encode()


def of_size(size: int) -> bytes:
    """A good body of exactly so many bytes."""
    return GOOD + b" " * (size - len(GOOD))


def test_every_operation_with_a_body_has_its_refusals() -> None:
    declared = {name for name, one in CONTRACT.operations.items() if one.body is not None}
    assert declared == set(BODY_REFUSALS)


def test_a_body_is_the_object_it_spells() -> None:
    assert body_of(GOOD) == EXAMPLE


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_exactly_the_limit_is_read(chunked: bool) -> None:
    assert body_of(of_size(DEFAULT_BODY_MAX), chunked=chunked) == EXAMPLE


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("tail", [b" ", b" garbage", b"}" * 100_000], ids=["space", "text", "long"])
def test_a_body_past_the_limit_is_too_large_however_it_is_sent(chunked: bool, tail: bytes) -> None:
    """Cut at the limit it would be valid."""
    raw = of_size(DEFAULT_BODY_MAX) + tail
    assert body_of(raw, chunked=chunked) is PAYLOAD_TOO_LARGE


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON ;charset=UTF-8"],
)
def test_json_is_json_with_parameters_and_in_capitals(content_type: str) -> None:
    assert body_of(GOOD, content_type) == EXAMPLE


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/problem+json",
        "application/jsonp",
        "application/json, text/plain",
        "json",
    ],
)
def test_another_kind_of_body_is_415(content_type: str | None) -> None:
    assert body_of(GOOD, content_type) is UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("coding", ["gzip", "GZIP", " gzip "])
def test_a_gzipped_body_is_inflated(coding: str) -> None:
    assert body_of(gzip.compress(GOOD), Content_Encoding=coding) == EXAMPLE


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd", "identity, gzip", "x"])
def test_another_coding_is_415(coding: str) -> None:
    assert body_of(GOOD, Content_Encoding=coding) is UNSUPPORTED_MEDIA_TYPE


def test_the_limit_counts_after_inflation() -> None:
    limit = gzip.compress(of_size(DEFAULT_BODY_MAX))
    assert body_of(limit, Content_Encoding="gzip") == EXAMPLE
    past = gzip.compress(of_size(DEFAULT_BODY_MAX + 1))
    assert body_of(past, Content_Encoding="gzip") is PAYLOAD_TOO_LARGE


def test_content_that_gzip_made_larger_than_the_limit_is_read() -> None:
    import secrets

    noise = secrets.token_hex(4000)
    raw = with_member(nat_summary={"noise": noise})
    packed = gzip.compress(raw + b" " * (DEFAULT_BODY_MAX - len(raw)), compresslevel=0)
    assert len(packed) > DEFAULT_BODY_MAX
    assert isinstance(body_of(packed, Content_Encoding="gzip"), dict)


def test_several_members_of_gzip_are_one_body() -> None:
    packed = gzip.compress(GOOD[:50]) + gzip.compress(b"") + gzip.compress(GOOD[50:])
    assert body_of(packed, Content_Encoding="gzip") == EXAMPLE


@pytest.mark.parametrize(
    "packed",
    [
        GOOD,
        b"",
        b"\x1f\x8b",
        gzip.compress(GOOD)[:-1],
        gzip.compress(GOOD)[:-8] + b"\0" * 8,
        gzip.compress(GOOD) + b"tail",
        zlib.compress(GOOD),
    ],
    ids=["plain", "empty", "head", "cut", "crc", "tail", "zlib"],
)
def test_what_is_no_gzip_is_malformed(packed: bytes) -> None:
    assert body_of(packed, Content_Encoding="gzip") is MALFORMED_HEARTBEAT_REQUEST


@pytest.mark.parametrize("members", [1, 40], ids=["one", "several"])
def test_a_bomb_is_refused_while_it_is_inflated(members: int) -> None:
    bomb = gzip.compress(b" " * 200) * (members - 1) + gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    with pytest.raises(Refused) as refused:
        inflated(bomb, DEFAULT_BODY_MAX)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.kind is PAYLOAD_TOO_LARGE
    assert peak < 1_000_000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        GOOD[:-1],
        GOOD + b"x",
        GOOD + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD.replace(b"1.4.2", b"\xff"),
        GOOD.replace(b"1.4.2", b"\xed\xa0\x80"),
        GOOD.replace(b"1.4.2", b"\\ud800"),
        GOOD.replace(b"1.4.2", b"1\n4"),
        GOOD.replace(b"1.4.2", b"\\x41"),
        GOOD.replace(b"{}", b"NaN"),
        GOOD.replace(b"{}", b'{"x":NaN}'),
        GOOD.replace(b"{}", b'{"x":-Infinity}'),
        GOOD.replace(b"{}", b'{"x":1e999}'),
        GOOD.replace(b"{}", b'{"x":' + b"9" * 5_000 + b"}"),
        GOOD.replace(b"{}", b'{"x":01}'),
        GOOD.replace(b"{}", b'{"x":1,"x":1}'),
        GOOD.replace(b"{}", b'{"x":1,"\\u0078":1}'),
        GOOD.replace(b"{}", b'{"\\udfff":1}'),
        GOOD[:-1] + b', "binary_version": "2"}',
        GOOD.replace(b"{}", b"[" * 4_000),
        GOOD.replace(b"{}", b'{"x":' + b"[" * 3_500 + b"]" * 3_500 + b"}"),
        GOOD.replace(b"{}", b'{"x":' * 100 + b"1" + b"}" * 100),
        b"[" * DEFAULT_BODY_MAX,
    ],
)
def test_what_is_no_json_object_of_one_reading_is_malformed(raw: bytes) -> None:
    assert body_of(raw) is MALFORMED_HEARTBEAT_REQUEST


@pytest.mark.parametrize("name", ["client_now", "binary_checksum", "binary_version", "nat_summary"])
@pytest.mark.parametrize("value", [None, 1, True, [], {"x": 1}, "x" * 5_000], ids=str)
def test_a_member_of_another_type_is_malformed(name: str, value: Any) -> None:
    good = name == "nat_summary" and isinstance(value, dict)
    found = body_of(with_member(**{name: value}))
    assert good == isinstance(found, dict)
    assert good or found is MALFORMED_HEARTBEAT_REQUEST


@pytest.mark.parametrize("name", ["client_now", "binary_checksum", "binary_version", "nat_summary"])
def test_a_member_left_out_is_malformed(name: str) -> None:
    left = {key: value for key, value in json.loads(GOOD).items() if key != name}
    assert body_of(json.dumps(left).encode()) is MALFORMED_HEARTBEAT_REQUEST


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "ok"},
        {"node_id": "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a2"},
        {"": 1},
        {"client_now": ""},
        {"client_now": "2026-11-23"},
        {"client_now": "2026-11-23 08:00:00Z"},
        {"client_now": "2026-11-23T08:00:00"},
        {"client_now": "2026-11-23t08:00:00z"},
        {"client_now": "2026-13-23T08:00:00Z"},
        {"client_now": "2026-11-23T08:00:00Z\n"},
        {"client_now": "2026-11-23T08:00:00.1234567890Z"},
        {"client_now": "\u0662026-11-23T08:00:00Z"},
        {"binary_checksum": "0" * 64},
        {"binary_checksum": "sha256:" + "0" * 64},
        {"binary_checksum": "A" * 44},
        {"binary_checksum": "A" * 43 + "=\n"},
        {"binary_checksum": "_" * 43 + "="},
        {"binary_checksum": "A" * 42 + "="},
        {"binary_checksum": " "},
        {"nat_summary": ""},
    ],
    ids=str,
)
def test_a_member_of_another_form_is_malformed(changes: dict[str, Any]) -> None:
    assert body_of(with_member(**changes)) is MALFORMED_HEARTBEAT_REQUEST


@pytest.mark.parametrize(
    "changes",
    [
        {"client_now": "2026-11-23T08:00:00.123456789+05:30"},
        {"binary_version": "x" * 4_096},
        {"binary_version": "\U0001f600"},
        {"binary_version": "\0"},
        {"nat_summary": {"a": [1, 2.5, None, {"b": "ü"}]}},
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_the_contract_allows_is_taken(changes: dict[str, Any]) -> None:
    found = body_of(with_member(**changes))
    assert isinstance(found, dict)
    assert changes.items() <= found.items()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"binary_checksum": ""}, BINARY_CHECKSUM_EMPTY),
        ({"binary_version": ""}, BINARY_VERSION_EMPTY),
        ({"binary_checksum": "", "binary_version": ""}, BINARY_CHECKSUM_EMPTY),
        ({"binary_checksum": "", "status": "ok"}, MALFORMED_HEARTBEAT_REQUEST),
        ({"binary_version": "", "client_now": "now"}, MALFORMED_HEARTBEAT_REQUEST),
    ],
    ids=str,
)
def test_an_empty_text_is_told_where_nothing_else_is_wrong(
    changes: dict[str, Any], kind: RefusalKind
) -> None:
    assert body_of(with_member(**changes)) is kind


class Breaking(io.RawIOBase):
    """A stream whose chunks are none, as gunicorn reports it."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError("invalid chunk")


def test_chunks_that_are_none_are_malformed() -> None:
    contract = CONTRACT.operations[OPERATION].body
    assert contract is not None
    with (
        APP.test_request_context(
            "/",
            method="POST",
            content_type="application/json",
            environ_overrides={"wsgi.input_terminated": True, "wsgi.input": Breaking()},
        ),
        pytest.raises(Refused) as refused,
    ):
        checked_body(contract, BODY_REFUSALS[OPERATION])
    assert refused.value.kind is MALFORMED_HEARTBEAT_REQUEST
