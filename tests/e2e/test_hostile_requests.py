"""Requests nobody sends by accident: the declared answer or the server's own 4xx, never a 5xx."""

from __future__ import annotations

import pytest

from server.dev.stack import Stack
from tests.client import ask, pull_path, send_raw

UUID = "0190b2c4-8d5e-7000-8000-0000000000ab"


@pytest.mark.parametrize(
    "node_id",
    [
        UUID.upper(),
        "%7B" + UUID + "%7D",
        "urn:uuid:" + UUID,
        "00000000-0000-0000-0000-000000000000",
        UUID + "%0A",
        UUID + "%00",
        "%00",
        UUID.replace("-", ""),
        UUID[:-1],
        UUID + "0",
        "%20" + UUID,
        "%F0%9F%92%A9",
        "%FF%FE",
        "..",
        "a" * 6_000,
        "'%20OR%201=1--",
        "%D9%A0190b2c4-8d5e-7000-8000-0000000000ab",
    ],
    ids=lambda text: text[:24],
)
def test_an_id_that_is_no_canonical_uuid_is_400(stack: Stack, node_id: str) -> None:
    reply = ask(stack.url, pull_path(node_id), stack.headers)
    assert (reply.status, reply.code) == (400, "invalid_node_id")
    assert len(reply.json["instance"]) <= 256


def test_an_id_of_10_kb_is_the_servers_own_414(stack: Stack) -> None:
    assert ask(stack.url, pull_path("a" * 10_240), stack.headers).status == 414


def test_a_percent_encoded_slash_is_an_unknown_route(stack: Stack) -> None:
    assert ask(stack.url, pull_path("a%2Fb"), stack.headers).status == 404


@pytest.mark.parametrize(
    "path", ["/livez/", "/v1//version", "/static/app.js", "/v1", "/v1/nodes/x/state/"]
)
def test_paths_the_contract_does_not_have_are_404_problems(stack: Stack, path: str) -> None:
    reply = ask(stack.url, path)
    assert reply.status == 404
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_an_undeclared_method_is_405_with_allow(stack: Stack, method: str) -> None:
    reply = ask(stack.url, pull_path(stack.node_id), stack.headers, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "application/json;q=0", "image/*"]
)
def test_an_accept_that_rules_json_out_is_406(stack: Stack, accept: str) -> None:
    reply = ask(stack.url, pull_path(stack.node_id), stack.headers | {"Accept": accept})
    assert (reply.status, reply.code) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "text/html, application/json;q=0.1", "", "nonsense"]
)
def test_an_accept_that_leaves_json_is_served(stack: Stack, accept: str) -> None:
    reply = ask(stack.url, pull_path(stack.node_id), stack.headers | {"Accept": accept})
    assert reply.status == (406 if accept == "nonsense" else 200)


def test_a_body_on_get_is_ignored(stack: Stack) -> None:
    headers = stack.headers | {"Content-Type": "application/json"}
    for body in (b'{"a":', b"[" * 50_000, b"\xff\xfe"):
        assert ask(stack.url, pull_path(stack.node_id), headers, body=body).status == 200


def test_a_large_body_is_413_after_401(stack: Stack) -> None:
    body = b"x" * 100_000
    path = pull_path(stack.node_id)
    assert ask(stack.url, path, body=body).status == 401
    reply = ask(stack.url, path, stack.headers, body=body)
    assert (reply.status, reply.code) == (413, "payload_too_large")


def test_a_chunked_body_on_get_does_not_reach_the_next_request(stack: Stack) -> None:
    path, token = pull_path(stack.node_id), stack.token()
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    chunked = head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    answer = send_raw(stack.url, (chunked + head + "Connection: close\r\n\r\n").encode())
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.count(b"HTTP/1.1") == 2


def test_thousands_of_headers_are_the_servers_own_4xx(stack: Stack) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n"
    status = send_raw(stack.url, request).split(b" ", 2)[1]
    assert status in (b"400", b"431")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /livez?x=1&x=2&%00=%FF HTTP/1.1",
        b"GET http://other.example/livez HTTP/1.1",
        b"GET /livez HTTP/1.0",
    ],
)
def test_odd_but_legal_request_lines_are_served(stack: Stack, request_line: bytes) -> None:
    answer = send_raw(stack.url, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["tls", "no-path", "version", "negative-length", "smuggling", "space", "long-line"],
)
def test_broken_http_is_the_servers_own_4xx(stack: Stack, request_bytes: bytes) -> None:
    answer = send_raw(stack.url, request_bytes)
    assert answer.split(b" ", 2)[1][:1] in (b"4", b"5") and b"HTTP/1.1 500" not in answer
    assert ask(stack.url, "/livez").status == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Expect: nonsense", b"417 Expectation Failed"),
        ("Transfer-Encoding: gzip", b"501 Not Implemented"),
        ("Transfer-Encoding: chunked, gzip", b"400 Bad Request"),
        ("X y: z", b"400 Bad Request"),
    ],
)
def test_what_the_server_does_not_know_is_its_own_refusal(
    stack: Stack, header: str, status: bytes
) -> None:
    answer = send_raw(stack.url, f"GET /livez HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert b"x-correlation-id" not in answer.lower()
    assert header.split()[1].strip(",").encode() not in answer


@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 90\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n9\r\n{}"],
    ids=["length", "chunks"],
)
def test_a_body_that_ends_early_is_400(stack: Stack, body: bytes) -> None:
    head = b"POST /v1/register HTTP/1.1\r\nHost: x\r\n"
    assert send_raw(stack.url, head + body, ends=True).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/livez", 200), ("/public/metrics", 404), ("/v1/nodes/x/state", 401)],
)
@pytest.mark.parametrize(
    "header",
    ["SCRIPT_NAME: /foo", "SCRIPT_NAME: /public", "SCRIPT-NAME: /v1", "PATH_INFO: /metrics"],
)
def test_no_header_rewrites_the_path(stack: Stack, path: str, status: int, header: str) -> None:
    name, _, value = header.partition(": ")
    assert ask(stack.url, path, {name: value}).status == status


def test_contradictory_scheme_headers_are_nobodys_business(stack: Stack) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Protocol": "http", "X-Forwarded-Ssl": "1"}
    assert ask(stack.url, "/livez", headers).status == 200


def test_an_unknown_query_parameter_is_no_error_of_ours(stack: Stack) -> None:
    mark = "odd-parameter-name"
    assert ask(stack.url, f"/metrics?{mark}=1").status == 200
    assert mark not in (stack.places.gunicorn / "gunicorn.log").read_text()
