"""Every kind of breach is caught before an answer leaves, and nothing here raises."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from handlers.wire import Block, SnapshotBody, SnapshotWire, json_bytes
from server.contract.document import Contract
from server.http.response_validation import Breach, Outgoing, ResponseValidator
from tests.factories import CORRELATION, snapshot

CONTRACT = Contract.packaged()
EXAMPLES = CONTRACT.document["components"]["examples"]
BRIDGE_NODE = EXAMPLES["SnapshotOfABridgeNode"]["value"]
PLAIN_NODE = EXAMPLES["SnapshotOfAPlainNode"]["value"]
HEADERS = {
    "etag": f'W/"{"ab" * 32}"',
    "cache-control": "private, no-cache",
    "vary": "Authorization, Accept-Encoding",
    "x-correlation-id": CORRELATION,
}
PROBLEM = "application/problem+json"
Form = Callable[[dict[str, Any]], Outgoing]


def breach(outgoing: Outgoing) -> Breach | None:
    return ResponseValidator(CONTRACT).breach(outgoing)


def pulled(**changes: Any) -> Outgoing:
    """A sound 200 of the pull."""
    values: dict[str, Any] = {
        "operation_id": "GetNodeState",
        "status": 200,
        "media_type": "application/json",
        "headers": HEADERS,
        "body": json_bytes(PLAIN_NODE),
    }
    return Outgoing(**(values | changes))


def as_bytes(value: dict[str, Any]) -> Outgoing:
    return pulled(body=json_bytes(value))


def as_blocks(value: dict[str, Any]) -> Outgoing:
    blocks = tuple(Block(name, json_bytes(part)) for name, part in value.items())
    body = SnapshotBody(blocks, "ab" * 32)
    return pulled(body=body.to_bytes(), snapshot=body)


def edited(path: str, value: Any) -> dict[str, Any]:
    """The bridge Node's example with one thing put in; ``...`` takes it out."""
    document = copy.deepcopy(BRIDGE_NODE)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    target: Any = document
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return document


FORMS = pytest.mark.parametrize("form", [as_bytes, as_blocks])
BROKEN: list[tuple[str, Any]] = [
    *((key, ...) for key in BRIDGE_NODE),
    ("peers", None),
    ("peers", {}),
    ("peers/0", None),
    ("peers/0/node_id", ...),
    ("peers/0/node_id", "0190B2C4-8D5E-7A10-9C3F-5B6E7F8091A3"),
    ("peers/0/node_id", "00000000-0000-0000-0000-000000000000"),
    ("peers/0/node_id", "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a3\n"),
    ("peers/0/node_id", 7),
    ("peers/0/mesh_ip", ""),
    ("peers/1/public_key", "c2hvcnQ="),
    ("peers/1/public_key", "-" * 43 + "="),
    ("peers/1/public_key", "A" * 44),
    ("peers/0/fallback_endpoint", None),
    ("peers/0/fallback_endpoint", "relay.example.net"),
    ("peers/0/endpoint", "192.0.2.1:51820"),
    ("reachability", None),
    ("reachability/state", "never_reported"),
    ("reachability/changed_at", ...),
    ("reachability/changed_at", "2026-13-23T07:00:00Z"),
    ("reachability/changed_at", "2026-02-30T07:00:00Z"),
    ("reachability/changed_at", "2026-11-23t07:00:00z"),
    ("reachability/changed_at", "2026-11-23T07:00:00+00:00"),
    ("reachability/changed_at", "2026-11-23T07:00:00.50Z"),
    ("reachability/changed_at", "2026-11-23 07:00:00Z"),
    ("reachability/changed_at", 1795417200),
    ("policy/rules", None),
    ("policy/fingerprint", ""),
    ("policy/revision_id", "x"),
    ("policy/rules/0/action", "drop"),
    ("policy/rules/0/ports/from", 0),
    ("policy/rules/0/ports/to", 443.0),
    ("policy/rules/0/ports/to", "443"),
    ("policy/rules/0/ports/to", True),
    ("policy/rules/0/ports", None),
    ("policy/rules/0/source_cidr", "10.0.0.1"),
    ("bridge/relay", None),
    ("bridge/relay/enabled", 1),
    ("bridge/relay/listen_port", 65536),
    ("bridge/user_access/providers/0/max_peers", 2**31),
    ("bridge/user_access/providers/0/slug", "Staff"),
    ("bridge/user_access/providers/0/auth_secret_ref", "hunter2"),
    ("bridge/user_access/providers/0/routing_policy", "any"),
    ("bridge/site_to_site/tunnels/0/routing_policy", {}),
    ("bridge/site_to_site/tunnels/0/allowed_subnets", None),
    ("bridge/ingress/rules/0/sni_host", "-"),
    ("state/metadata", None),
    ("state/data/0/key", ""),
    ("state/reports/0/workload_tag", None),
    ("reports", None),
    ("executions", []),
]


def test_a_charset_other_than_utf_8_may_not_leave() -> None:
    assert breach(pulled(charset="utf-8")) is None
    assert breach(pulled(charset="latin-1")) == Breach("media type", "", "not UTF-8")


@FORMS
@pytest.mark.parametrize("value", [BRIDGE_NODE, PLAIN_NODE], ids=["bridge", "plain"])
def test_a_sound_snapshot_may_leave(form: Form, value: dict[str, Any]) -> None:
    assert breach(form(value)) is None


def test_a_composed_snapshot_may_leave() -> None:
    body = SnapshotWire().encode(snapshot())
    assert breach(pulled(body=body.to_bytes(), snapshot=body)) is None


@FORMS
@pytest.mark.parametrize(("path", "value"), BROKEN, ids=repr)
def test_a_snapshot_with_one_thing_wrong_may_not_leave(form: Form, path: str, value: Any) -> None:
    found = breach(form(edited(path, value)))
    assert found is not None and found.part == "body"


@FORMS
@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        ("peers/1/public_key", "c2hvcnQ=", "/peers/1/public_key"),
        ("state/data/0/key", "", "/state/data/0/key"),
        ("peers", None, "/peers"),
    ],
)
def test_a_breach_says_where(form: Form, path: str, value: Any, pointer: str) -> None:
    found = breach(form(edited(path, value)))
    assert found is not None and found.pointer == pointer


@FORMS
def test_a_breach_never_shows_the_value(form: Form) -> None:
    found = breach(form(edited("state/data/0/value", {"hunter2": "hunter2"})))
    assert found is not None and "hunter2" not in repr(found)


@pytest.mark.parametrize("status", [0, 100, 201, 204, 206, 302, 405, 415, 418, 502])
def test_an_undeclared_status_may_not_leave(status: int) -> None:
    assert breach(pulled(status=status)) == Breach("status", "", f"{status} is not declared")


@pytest.mark.parametrize(
    "media_type", [None, "", "text/html", "application/problem+json", "application/JSON ", "json"]
)
def test_an_undeclared_media_type_may_not_leave(media_type: str | None) -> None:
    found = breach(pulled(media_type=media_type))
    assert found == Breach("media type", "", "not declared for this status")


@pytest.mark.parametrize("name", HEADERS)
def test_an_answer_without_a_required_header_may_not_leave(name: str) -> None:
    found = breach(pulled(headers={key: HEADERS[key] for key in HEADERS if key != name}))
    assert found is not None and (found.part, found.pointer.lower()) == ("header", name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("etag", '"strong"'),
        ("etag", "W/unquoted"),
        ("etag", 'W/""'),
        ("etag", f'W/"{"a" * 200}"'),
        ("cache-control", "public"),
        ("cache-control", "private"),
        ("vary", "*"),
        ("vary", "accept-encoding"),
        ("x-correlation-id", ""),
        ("x-correlation-id", "a b"),
        ("x-correlation-id", "a" * 129),
        ("x-correlation-id", "a\n"),
    ],
)
def test_an_answer_with_a_wrong_header_value_may_not_leave(name: str, value: str) -> None:
    """Alone, or as either of two: a reader may take any."""
    for answer in (
        pulled(headers=HEADERS | {name: value}),
        pulled(repeated=((name, value),)),
        pulled(headers=HEADERS | {name: value}, repeated=((name, HEADERS[name]),)),
    ):
        found = breach(answer)
        assert found is not None and found.part.lower() == f"header {name}"


def test_the_same_sound_header_twice_may_leave() -> None:
    assert breach(pulled(repeated=tuple(HEADERS.items()))) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"\xff\xfe", b"[", b"[" * 100_000, b'"text"', b"null", b"[]", b"NaN",
     json_bytes(PLAIN_NODE).decode().encode("utf-16"), b"\xef\xbb\xbf" + json_bytes(PLAIN_NODE),
     json_bytes(PLAIN_NODE)[:-1], json_bytes(PLAIN_NODE) + b"}"],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
def test_a_body_that_is_no_snapshot_may_not_leave(body: bytes) -> None:
    assert breach(pulled(body=body)) is not None


def test_a_body_with_a_number_json_has_no_word_for_may_not_leave() -> None:
    document = edited("bridge/user_access/providers/0/routing_policy", {"max": float("nan")})
    assert breach(pulled(body=json.dumps(document).encode())) is not None


def test_a_304_without_a_body_may_leave() -> None:
    assert breach(pulled(status=304, media_type=None, body=b"")) is None


@pytest.mark.parametrize(
    "changes",
    [{"body": b"{}"}, {"media_type": "application/json"}, {"body": b" ", "media_type": ""}],
    ids=repr,
)
def test_a_body_where_none_is_declared_may_not_leave(changes: dict[str, Any]) -> None:
    found = breach(pulled(**({"status": 304, "media_type": None, "body": b""} | changes)))
    assert found == Breach("body", "", "no body is declared")


def test_an_operation_the_contract_does_not_know_may_not_answer() -> None:
    assert breach(pulled(operation_id="GetNothing")) is not None
