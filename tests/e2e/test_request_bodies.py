"""Request bodies over sockets: read after 401, whole or refused, however they are sent."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from server.dev.stack import Stack
from tests.bodies import moment
from tests.client import send_raw
from tests.heartbeats import beat, changed, heartbeat_path, last_heartbeat


def test_a_gzipped_heartbeat_is_inflated(stack: Stack) -> None:
    body = gzip.compress(changed(nat_summary={"seen": ["198.51.100.7:51820"] * 60}))
    assert beat(stack, body, Content_Encoding="gzip").status == 200


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"uptime": 1}, "malformed_heartbeat_request"),
        ({"client_now": "now"}, "malformed_heartbeat_request"),
        ({"client_now": "2026-11-23T08:00:60Z"}, "malformed_heartbeat_request"),
        ({"binary_checksum": "sha256:0"}, "malformed_heartbeat_request"),
        ({"nat_summary": None}, "malformed_heartbeat_request"),
        ({"binary_checksum": ""}, "binary_checksum_empty"),
        ({"binary_version": ""}, "binary_version_empty"),
        pytest.param({"client_now": moment(-3600)}, "clock_skew", id="an hour ago"),
        pytest.param({"client_now": moment(3600)}, "clock_skew", id="in an hour"),
        ({"client_now": "0001-01-01T00:00:00+14:00"}, "clock_skew"),
        ({"client_now": "9999-12-31T23:59:59-14:00"}, "clock_skew"),
    ],
    ids=str,
)
def test_a_body_that_is_no_heartbeat_is_400_and_nothing_is_written(
    stack: Stack, members: dict[str, Any], code: str
) -> None:
    before = last_heartbeat(stack)
    reply = beat(stack, changed(**members))
    assert (reply.status, reply.code) == (400, code)
    assert last_heartbeat(stack) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"client_now":1,"client_now":1}',
        b'{"nat_summary":{"x":"\\ud800"}}',
        b'{"nat_summary":NaN}',
        b"[" * 8_192,
    ],
    ids=repr,
)
def test_what_is_no_json_object_is_400(stack: Stack, body: bytes) -> None:
    reply = beat(stack, body)
    assert (reply.status, reply.code) == (400, "malformed_heartbeat_request")


def test_an_id_that_is_none_is_told_before_the_body(stack: Stack) -> None:
    reply = beat(stack, b"{", node_id="nonsense")
    assert (reply.status, reply.code) == (400, "invalid_node_id")


@pytest.mark.parametrize("headers", [{}, {"Content_Encoding": "gzip"}], ids=["plain", "bomb"])
def test_a_large_body_is_413_and_never_before_401(stack: Stack, headers: dict[str, str]) -> None:
    body = b" " * 100_000
    if headers:
        body = gzip.compress(b" " * 5_000_000)
    reply = beat(stack, body, **headers)
    assert (reply.status, reply.code) == (413, "payload_too_large")
    nobody = beat(stack, body, Authorization="Bearer not.a.token", **headers)
    assert nobody.status == 401


@pytest.mark.parametrize("token", [True, False], ids=["agent", "nobody"])
def test_a_chunked_body_past_the_limit_is_413_and_not_cut(stack: Stack, token: bool) -> None:
    """Valid JSON, padding to the limit, garbage: cut at the limit it would be accepted."""
    good = changed()
    content = good + b" " * (8_192 - len(good)) + b"garbage"
    head = f"POST {heartbeat_path(stack.node_id)} HTTP/1.1\r\nHost: x\r\n"
    if token:
        head += f"Authorization: Bearer {stack.token()}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part)
        for part in (content[at : at + 1_000] for at in range(0, len(content), 1_000))
    )
    last = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = send_raw(stack.url, head.encode() + chunks + b"0\r\n\r\n" + last.encode())
    assert answer.startswith(b"HTTP/1.1 413" if token else b"HTTP/1.1 401")
    assert answer.count(b"HTTP/1.1 200 OK") == 1  # what follows on the connection is itself


def test_a_chunked_heartbeat_is_accepted_and_a_broken_chunk_is_400(stack: Stack) -> None:
    good = changed()
    head = (
        f"POST {heartbeat_path(stack.node_id)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {stack.token()}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    whole = head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(good), good)
    assert send_raw(stack.url, whole).startswith(b"HTTP/1.1 200")
    assert send_raw(stack.url, head + b"zz\r\n" + good).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "headers",
    [{"Content_Type": "text/plain"}, {"Content_Encoding": "br"}],
    ids=lambda headers: str(headers),
)
def test_another_kind_of_body_is_415(stack: Stack, headers: dict[str, str]) -> None:
    reply = beat(stack, **headers)
    assert (reply.status, reply.code) == (415, "unsupported_media_type")
