"""Request bodies through Flask alone: sizes, codings and kinds."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from typing import Any

import pytest

from handlers.refusals import (
    INVALID_BODY,
    MALFORMED_HEARTBEAT_REQUEST,
    PAYLOAD_TOO_LARGE,
    PUBLIC_KEY_INVALID,
    UNSUPPORTED_MEDIA_TYPE,
    BodyRefusals,
    RefusalKind,
    Refused,
)
from server.contract.document import DEFAULT_BODY_MAX, BodyContract, Contract
from server.contract.errors import ContractError
from server.contract.schemas import SchemaCompiler
from server.http.requests import checked_body, inflated
from tests.sent_bodies import (
    APP,
    CONTRACT,
    EXAMPLE,
    GOOD,
    OPERATION,
    REFUSALS,
    body_of,
    of_size,
    with_member,
)


def test_a_body_that_may_be_left_out_is_a_complaint_about_the_file() -> None:
    raw = CONTRACT.raw.replace(b"        required: true\n        content:", b"        content:")
    assert raw != CONTRACT.raw
    with pytest.raises(ContractError, match="needs required: true"):
        Contract(raw)


def test_a_limit_of_its_own_stands_beside_the_body() -> None:
    raw = CONTRACT.raw.replace(
        b"        required: true\n        content:",
        b"        required: true\n        x-max-body-bytes: 100\n        content:",
    )
    assert (body := Contract(raw).operations[OPERATION].body) is not None
    assert body.max_bytes == 100


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


@pytest.mark.parametrize("coding", ["gzip", "GZIP", " gzip ", "x-gzip"])
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
        inflated(bomb, DEFAULT_BODY_MAX, PAYLOAD_TOO_LARGE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.kind is PAYLOAD_TOO_LARGE
    assert peak < 1_000_000


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
        checked_body(contract, REFUSALS)
    assert refused.value.kind is MALFORMED_HEARTBEAT_REQUEST


REGISTRATION = BodyRefusals(INVALID_BODY, members={"public_key": PUBLIC_KEY_INVALID})


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"name": "n"}, PUBLIC_KEY_INVALID),
        ({"public_key": 1, "name": "n"}, PUBLIC_KEY_INVALID),
        ({"public_key": "k"}, INVALID_BODY),
        ({"public_key": "k", "name": 1}, INVALID_BODY),
        ({"public_key": "k", "name": "n", "more": 1}, INVALID_BODY),
        ({}, INVALID_BODY),
    ],
    ids=str,
)
def test_a_refusal_goes_by_the_member_that_is_wrong_or_absent(
    sent: dict[str, Any], kind: RefusalKind
) -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["public_key", "name"],
        "properties": {"public_key": {"type": "string"}, "name": {"type": "string"}},
    }
    body = BodyContract({"application/json": SchemaCompiler({}).compile(schema)}, max_bytes=1_000)
    with (
        APP.test_request_context("/", method="POST", json=sent),
        pytest.raises(Refused) as refused,
    ):
        checked_body(body, REGISTRATION)
    assert refused.value.kind is kind
