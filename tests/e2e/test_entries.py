"""Entries over sockets: written by who may, shown by the next pull, refused in every odd form."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON
from tests.client import Reply, ask, bearer, pull_path
from tests.ledger_sql import run_sql

KINDS = {"reports": "invalid_report", "metadata": "invalid_entry", "data": "invalid_entry"}
LIMIT = 4_096


@pytest.fixture(scope="module")
def node(stack: Stack) -> str:
    """A Node of this module's own."""
    return scratch.node(stack)


def credential(stack: Stack, node: str, kind: str) -> dict[str, str]:
    return bearer(stack.token(f"node:{node}" if kind == "reports" else OPERATOR))


def send(
    stack: Stack,
    node: str,
    kind: str,
    key: str = "a",
    body: bytes | None = None,
    method: str = "PUT",
    **headers: str,
) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {**(JSON if method == "PUT" else {}), **credential(stack, node, kind), **named}
    content = valued("1") if body is None and method == "PUT" else body
    path = f"/v1/nodes/{node}/state/{kind}/{key}"
    return ask(stack.url, path, sent, method=method, body=content)


def valued(value: object, **members: object) -> bytes:
    return json.dumps({"value": value, **members}, ensure_ascii=False).encode()


def pull(stack: Stack, node: str) -> Reply:
    reply = ask(stack.url, pull_path(node), bearer(stack.token(f"node:{node}")))
    assert reply.status == 200
    return reply


def events(stack: Stack, node: str) -> int:
    sql = "SELECT count(*) FROM plexsphere.events WHERE node_id = %s AND block = 'state'"
    return int(run_sql(stack.dsn, sql, (node,))[0][0])


def stored(stack: Stack, node: str) -> list[tuple[Any, ...]]:
    return run_sql(
        stack.dsn,
        "SELECT kind, key, value, workload_tag FROM plexsphere.node_state_entries"
        " WHERE node_id = %s ORDER BY kind, key",
        (node,),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_shows_in_the_next_pull_until_it_is_removed(stack: Stack, kind: str) -> None:
    own = scratch.node(stack)
    before = pull(stack, own)
    reply = send(stack, own, kind, "disk.root", valued("ok", workload_tag="agent"))
    assert (reply.status, list(reply.json), reply.json["key"]) == (
        200,
        ["accepted_at", "key"],
        "disk.root",
    )
    shown, again = pull(stack, own), pull(stack, own)
    entry = {"key": "disk.root", "value": "ok", "workload_tag": "agent"}
    assert shown.json["state"][kind] == shown.json["reports"][kind] == [entry]
    assert shown.body == again.body
    assert shown.headers["etag"] != before.headers["etag"]
    removed = send(stack, own, kind, "disk.root", method="DELETE")
    assert (removed.status, removed.body) == (204, b"")
    after = pull(stack, own)
    assert (after.body, after.headers["etag"]) == (before.body, before.headers["etag"])


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_platforms_entries_are_events_and_none_is_a_new_revision(
    stack: Stack, kind: str
) -> None:
    own = scratch.node(stack)
    sql = (
        "SELECT d.peers_revision::text FROM plexsphere.domains AS d"
        " JOIN plexsphere.nodes AS n ON n.domain_id = d.id WHERE n.id = %s"
    )
    before = run_sql(stack.dsn, sql, (own,))
    for _ in range(2):  # the same again is no event
        assert send(stack, own, kind).status == 200
    assert send(stack, own, kind, method="DELETE").status == 204
    assert run_sql(stack.dsn, sql, (own,)) == before
    assert events(stack, own) == (0 if kind == "reports" else 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_neither_the_agent_nor_an_editor_does_the_others_work(
    stack: Stack, node: str, kind: str, method: str
) -> None:
    other = credential(stack, node, "data" if kind == "reports" else "reports")
    before = stored(stack, node)
    reply = send(stack, node, kind, method=method, **other)
    assert (reply.status, reply.code) == (403, "insufficient_relation")
    assert stored(stack, node) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_is_counted_in_bytes(stack: Stack, node: str, kind: str) -> None:
    fitting = ["x" * (LIMIT - 1), "x" * LIMIT, "é" * (LIMIT // 2), "x" + "é" * (LIMIT // 2 - 1)]
    for text in (*fitting, "😀" * (LIMIT // 4)):
        assert send(stack, node, kind, body=valued(text)).status == 200
        assert pull(stack, node).json["state"][kind][0]["value"] == text
    kept = stored(stack, node)
    for text in ("x" * (LIMIT + 1), "x" + "é" * (LIMIT // 2), "€" * (LIMIT // 3 + 1)):
        reply = send(stack, node, kind, body=valued(text))
        assert (reply.status, reply.code) == (413, "payload_too_large")
    assert stored(stack, node) == kept


@pytest.mark.parametrize("kind", KINDS)
def test_a_gzipped_body_is_the_body(stack: Stack, node: str, kind: str) -> None:
    body = gzip.compress(valued("z" * LIMIT))
    assert send(stack, node, kind, "zipped", body, Content_Encoding="gzip").status == 200
    assert ("z" * LIMIT) in {row[2] for row in stored(stack, node) if row[1] == "zipped"}


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "no object": b'["value"]',
    "nothing in it": b"{}",
    "another member": valued("1", extra=1),
    "a key": valued("1", key="a"),
    "a member twice": b'{"value":"1","value":"2"}',
    "a NUL in the value": valued("\0"),
    "a NUL in the tag": valued("1", workload_tag="\0"),
    "a lone surrogate in the value": b'{"value":"\\ud800"}',
    "a lone surrogate in the tag": b'{"value":"1","workload_tag":"\\udfff"}',
    "no UTF-8": b'{"value":"\xff"}',
    "a tag too long": valued("1", workload_tag="x" * (LIMIT + 1)),
    **{f"{odd!r} as value": valued(odd) for odd in (None, 1, True, [], {})},
    **{f"{odd!r} as tag": valued("1", workload_tag=odd) for odd in (None, 1, True, [], {})},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_malformed_body_is_a_400_and_nothing_is_written(
    stack: Stack, node: str, kind: str
) -> None:
    before = stored(stack, node), events(stack, node)
    for name, body in MALFORMED.items():
        reply = send(stack, node, kind, "odd", body)
        assert (reply.status, reply.code) == (400, KINDS[kind]), name
    assert send(stack, node, kind, "odd", b" " * 8_193).status == 413
    assert (stored(stack, node), events(stack, node)) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_hostile_key_is_refused_and_nothing_is_written(
    stack: Stack, node: str, kind: str, method: str
) -> None:
    before = stored(stack, node)
    hostile = ["A", "aB", "1a", "_a", ".", "..", "...", "-a", "a%0A", "a%00", "a%20b", "a'--"]
    for key in (*hostile, "%C3%A9", "k" * 129, "a%25", "a;b", "a:b"):
        reply = send(stack, node, kind, key, method=method)
        assert (reply.status, reply.code) == (400, KINDS[kind]), key
    for key in ("a%2Fb", "%2F", "a/b", ""):  # another path, which nobody declares
        assert send(stack, node, kind, key, method=method).status == 404, key
    assert stored(stack, node) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["a", "k" * 128, "a..", "z-9_0.", "a--"])
def test_a_key_at_the_edge_is_taken(stack: Stack, node: str, kind: str, key: str) -> None:
    assert send(stack, node, kind, key).json["key"] == key
    assert send(stack, node, kind, key, method="DELETE").status == 204
    gone = send(stack, node, kind, key, method="DELETE")
    noun = "report" if kind == "reports" else "entry"
    assert (gone.status, gone.code) == (404, f"{noun}_not_found")


@pytest.mark.parametrize("kind", KINDS)
def test_the_quota_is_a_409_and_replacing_is_not(stack: Stack, kind: str) -> None:
    own = scratch.node(stack)
    scratch.hold(stack, own, *(f"k{number}" for number in range(128)))
    noun = "report" if kind == "reports" else "entry"
    reply = send(stack, own, kind, "one.more")
    assert (reply.status, reply.code) == (409, f"{noun}_quota_exceeded")
    assert send(stack, own, kind, "k0").status == 200
    assert send(stack, own, kind, "k1", method="DELETE").status == 204
    assert send(stack, own, kind, "one.more").status == 200
