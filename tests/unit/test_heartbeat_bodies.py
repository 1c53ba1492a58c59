"""The body of a heartbeat: every way JSON can be odd, and every member misused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.refusals import (
    BINARY_CHECKSUM_EMPTY,
    BINARY_VERSION_EMPTY,
    MALFORMED_HEARTBEAT_REQUEST,
    RefusalKind,
)
from server.contract.document import DEFAULT_BODY_MAX
from tests.sent_bodies import GOOD, body_of, with_member


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
