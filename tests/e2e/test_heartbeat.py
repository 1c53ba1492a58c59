"""Heartbeats over sockets: every status, and the ledger and audit trail behind each."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from server.dev.stack import Stack
from tests.bodies import JSON, body_now, moment
from tests.client import Reply, ask, bearer, pull_path, send_raw
from tests.ledger_sql import audit_rows, run_sql

UNREAL = "0190ffff-0000-7000-8000-00000000ffff"
OPERATION = "PostNodeHeartbeat"


def heartbeat_path(node_id: object) -> str:
    return f"/v1/nodes/{node_id}/heartbeat"


def beat(stack: Stack, body: bytes | None = None, node_id: object = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(
        stack.url,
        heartbeat_path(node_id or stack.node_id),
        stack.headers | JSON | named,
        method="POST",
        body=body_now(OPERATION) if body is None else body,
    )


def changed(**members: Any) -> bytes:
    made = body_now(OPERATION, **members)
    assert made is not None
    return made


def last_heartbeat(stack: Stack, node_id: object = None) -> datetime | None:
    found: datetime | None = run_sql(
        stack.dsn,
        "SELECT last_heartbeat_at FROM plexsphere.nodes WHERE id = %s",
        (str(node_id or stack.node_id),),
    )[0][0]
    return found


def test_a_heartbeat_is_accepted_at_the_moment_the_ledger_keeps(stack: Stack) -> None:
    reply = beat(stack)
    assert reply.status == 200
    assert list(reply.json) == ["accepted_at", "reconcile", "rotate_keys"]
    assert (reply.json["reconcile"], reply.json["rotate_keys"]) == (False, False)
    assert last_heartbeat(stack) == datetime.fromisoformat(reply.json["accepted_at"])


def test_a_heartbeat_shows_in_the_next_pull_and_leaves_its_etag_alone(stack: Stack) -> None:
    path = pull_path(stack.node_id)
    etag = ask(stack.url, path, stack.headers).headers["etag"]
    accepted_at = beat(stack).json["accepted_at"]
    pulled = ask(stack.url, path, stack.headers)
    assert pulled.json["reachability"]["last_heartbeat_at"] == accepted_at
    assert pulled.headers["etag"] == etag


def test_a_heartbeat_bumps_no_revision_and_moves_no_verdict(stack: Stack) -> None:
    sql = (
        "SELECT d.peers_revision::text, n.reachability_state, n.changed_at"
        " FROM plexsphere.nodes AS n JOIN plexsphere.domains AS d ON d.id = n.domain_id"
        " WHERE n.id = %s"
    )
    before = run_sql(stack.dsn, sql, (stack.node_id,))
    assert beat(stack).status == 200
    assert run_sql(stack.dsn, sql, (stack.node_id,)) == before


def test_an_accepted_heartbeat_leaves_no_audit_row_and_a_refused_one_does(stack: Stack) -> None:
    mark = f"beat-{uuid4().hex}"
    assert beat(stack, X_Correlation_Id=mark).status == 200
    other = stack.sample.node_id(1)
    refused = beat(stack, node_id=other, X_Correlation_Id=f"{mark}-other")
    assert (refused.status, refused.code) == (403, "insufficient_relation")
    assert audit_rows(stack.dsn, f"{mark}-other") == [
        (
            "node.heartbeat",
            "insufficient_relation",
            f"node:{stack.node_id}",
            f"node:{other}",
            None,
        )
    ]
    assert audit_rows(stack.dsn, mark, expected=0) == []


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
        ({"client_now": moment(-3600)}, "clock_skew"),
        ({"client_now": moment(3600)}, "clock_skew"),
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


def test_an_accept_that_rules_json_out_is_406_and_nothing_is_written(stack: Stack) -> None:
    before = last_heartbeat(stack)
    reply = beat(stack, Accept="text/html")
    assert (reply.status, reply.code) == (406, "not_acceptable")
    assert last_heartbeat(stack) == before


def test_a_stranger_sees_the_same_403_for_a_real_and_an_unreal_node(stack: Stack) -> None:
    stranger = {"Authorization": f"Bearer {stack.token('user:operator')}"}
    replies = [beat(stack, node_id=one, **stranger) for one in (stack.node_id, UNREAL)]
    assert [reply.status for reply in replies] == [403, 403]
    assert replies[0].blanked() == replies[1].blanked()


def test_a_node_that_left_the_ledger_is_404_for_its_own_agent(stack: Stack) -> None:
    gone = stack.sample.node_id(stack.sample.nodes - 1)
    row = run_sql(
        stack.dsn,
        "DELETE FROM plexsphere.nodes WHERE id = %s"
        " RETURNING domain_id::text, name, host(mesh_ip), public_key",
        (str(gone),),
    )[0]
    try:
        own = bearer(stack.token(f"node:{gone}"))
        reply = beat(stack, node_id=gone, **own)
        assert (reply.status, reply.code) == (404, "node_not_found")
    finally:
        run_sql(
            stack.dsn,
            "INSERT INTO plexsphere.nodes (id, domain_id, name, mesh_ip, public_key)"
            " VALUES (%s, %s, %s, %s, %s)",
            (str(gone), *row),
        )


def test_a_row_that_a_writer_holds_is_503_after_the_lock_timeout(stack: Stack) -> None:
    with closing(psycopg2.connect(stack.dsn)) as other, other.cursor() as used:
        used.execute("SELECT FROM plexsphere.nodes WHERE id = %s FOR UPDATE", (stack.node_id,))
        reply = beat(stack)
        assert (reply.status, reply.code) == (503, "datastore_unavailable")
        assert reply.headers["retry-after"] == "5"
        assert ask(stack.url, pull_path(stack.node_id), stack.headers).status == 200
        other.rollback()
    assert beat(stack).status == 200


@pytest.fixture(scope="module")
def unprovisioned(stack: Stack) -> Iterator[str]:
    part = stack.extra_gunicorn("unprovisioned-writers", {"PLEXSPHERE_DSN": ""})
    yield part.url
    part.stop()


@pytest.mark.parametrize("body", [b"", b"{", b" " * 100_000], ids=["empty", "broken", "large"])
@pytest.mark.parametrize("node_id", [UNREAL, "nonsense"])
def test_every_form_of_request_is_501_where_nothing_is_wired(
    unprovisioned: str, node_id: str, body: bytes
) -> None:
    reply = ask(unprovisioned, heartbeat_path(node_id), method="POST", body=body)
    assert (reply.status, reply.code) == (501, "heartbeat_not_provisioned")
    reply = ask(unprovisioned, f"/v1/nodes/{node_id}/reachability", body=body)
    assert (reply.status, reply.code) == (501, "reachability_not_provisioned")


def test_the_read_is_the_block_of_the_pull_byte_for_byte(stack: Stack) -> None:
    beat(stack)
    read = ask(stack.url, f"/v1/nodes/{stack.node_id}/reachability", stack.headers)
    pulled = ask(stack.url, pull_path(stack.node_id), stack.headers)
    assert read.status == 200
    assert b'"reachability":' + read.body in pulled.body
    assert json.loads(read.body) == pulled.json["reachability"]
    assert read.headers["cache-control"] == "private, no-cache"


def test_the_read_is_audited_for_the_agent_and_for_a_stranger(stack: Stack) -> None:
    mark = f"read-{uuid4().hex}"
    for node_id, outcome in (
        (stack.node_id, "granted"),
        (stack.sample.node_id(1), "insufficient_relation"),
    ):
        headers = stack.headers | {"X-Correlation-Id": f"{mark}-{outcome}"}
        ask(stack.url, f"/v1/nodes/{node_id}/reachability", headers)
        agent = f"node:{stack.node_id}"
        assert audit_rows(stack.dsn, f"{mark}-{outcome}") == [
            ("node_reachability.read", outcome, agent, f"node:{node_id}", None)
        ]


def test_the_read_of_a_node_that_is_none_or_not_ones_own(stack: Stack) -> None:
    for node_id, status, code in (
        ("nonsense", 400, "invalid_node_id"),
        (UNREAL, 403, "insufficient_relation"),
    ):
        reply = ask(stack.url, f"/v1/nodes/{node_id}/reachability", stack.headers)
        assert (reply.status, reply.code) == (status, code)
    large = ask(
        stack.url, f"/v1/nodes/{stack.node_id}/reachability", stack.headers, body=b"x" * 100_000
    )
    assert large.status == 413
