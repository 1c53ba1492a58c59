"""The forms of planted breaches: edited answers, rewritten requests, swapped parts."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from composer.identity import Principal, PrincipalKind
from handlers.refusals import UNAUTHORIZED
from handlers.wire import json_bytes
from server.http.problems import problem_answer
from tests.client import bearer, pull_path
from tests.fuzz.breached_build import Build
from tests.fuzz.breached_service import Edit, Shown, ask

Change = Callable[[dict[str, Any]], None]
SwitchOn = Callable[[Build], None]
SHORT_KEY = base64.b64encode(b"x" * 31).decode()
NIL = "00000000-0000-0000-0000-000000000000"
UPPER = "0190B2C4-8D5E-7000-8000-000000000001"
OTHER_TIME = "2026-11-23T08:00:00+01:00"


def editing(edit: Edit) -> SwitchOn:
    """Switches an edit of answers on."""

    def switch_on(build: Build) -> None:
        build.edit = edit

    return switch_on


def on_value(status: int, change: Change) -> SwitchOn:
    """Edits the JSON of every answer with this status; compact again afterwards."""

    def edit(shown: Shown) -> None:
        if shown.status == status and shown.body:
            value = json.loads(shown.body)
            change(value)
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            shown.body = text.encode()

    return editing(edit)


def on_answer(status: int, change: Edit) -> SwitchOn:
    """Edits every answer with this status; a request without a body is still without one."""
    return editing(lambda shown: change(shown) if shown.status == status else None)


def to_peer(**changes: Any) -> SwitchOn:
    """Edits the first peer of every snapshot."""
    return on_value(200, lambda value: value["peers"][0].update(changes))


def to_status(status: int) -> Edit:
    return lambda shown: setattr(shown, "status", status)


def without_header(status: int, name: str) -> SwitchOn:
    return on_answer(status, lambda shown: shown.headers.remove(name))


def with_header(status: int, name: str, value: str) -> SwitchOn:
    return on_answer(status, lambda shown: shown.headers.set(name, value))


def self_among_peers(build: Build) -> None:
    def edit(shown: Shown) -> None:
        if shown.status == 200 and shown.request.method == "GET":
            value = json.loads(shown.body)
            own = shown.request.path.split("/")[3]
            key = value["peers"][0]["public_key"]
            value["peers"].append({"node_id": own, "mesh_ip": "10.42.0.9", "public_key": key})
            value["peers"].sort(key=lambda peer: UUID(peer["node_id"]).bytes)
            shown.body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    build.edit = edit


def another_nodes_data(build: Build) -> None:
    """The first Node's agent is shown the second Node's snapshot, tag included."""
    other = build.ids[1]
    reply = ask(build.application(), pull_path(other), bearer(f"agent-{other}"))

    def edit(shown: Shown) -> None:
        if (
            shown.status == 200
            and shown.request.method == "GET"
            and other not in shown.request.path
        ):
            shown.body = reply.body
            shown.headers.set("ETag", reply.headers["etag"])

    build.edit = edit


def changing_tags(build: Build) -> None:
    numbers = itertools.count()
    with_number = lambda shown: shown.headers.set("ETag", f'W/"{next(numbers):064}"')  # noqa: E731
    on_answer(200, with_number)(build)


def a_body_on_head(build: Build) -> None:
    def edit(shown: Shown) -> None:
        if shown.request.method == "HEAD":
            shown.body = b"{}"

    build.edit = edit


def not_modified_always(build: Build) -> None:
    def edit(shown: Shown) -> None:
        if shown.status == 200:
            shown.status, shown.body = 304, b""
            shown.headers.remove("Content-Type")
            shown.headers.remove("Content-Length")

    build.edit = edit


def tags_ignored(build: Build) -> None:
    build.rewrite = lambda environ: environ.pop("HTTP_IF_NONE_MATCH", None)


def ids_in_any_case(build: Build) -> None:
    def rewrite(environ: dict[str, Any]) -> None:
        environ["PATH_INFO"] = environ["PATH_INFO"].lower()

    build.rewrite = rewrite


def queries_passed_over(build: Build) -> None:
    build.rewrite = lambda environ: environ.update(QUERY_STRING="")


def credential_asked_first(build: Build) -> None:
    """Gate 1 before gate 0: who has no credential learns nothing of what is provisioned."""

    def edit(shown: Shown) -> None:
        if shown.status == 501 and "Authorization" not in shown.request.headers:
            mark = shown.headers["X-Correlation-Id"]
            answer = problem_answer(UNAUTHORIZED, shown.request.path, mark)
            shown.status, shown.body = answer.status, shown.body and json_bytes(answer.body)
            shown.headers.set("WWW-Authenticate", "Bearer")

    build.edit = edit


def undeclared_method_served(build: Build) -> None:
    def rewrite(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "POST":
            environ["REQUEST_METHOD"] = "GET"

    build.rewrite = rewrite


def auth_ignored(build: Build) -> None:
    """Every caller, with or without a credential, is the agent of the Addressed Node."""

    def rewrite(environ: dict[str, Any]) -> None:
        own = Principal(PrincipalKind.NODE, environ["PATH_INFO"].split("/")[3])
        build.authenticate = lambda given: own

    build.rewrite = rewrite


def relation_ignored(build: Build) -> None:
    """Of a Node: a stranger's, and another Node's."""
    nodes = [f"node:{node_id}" for node_id in (*build.ids, *build.scratch.rotating)]
    for caller in ("user:stranger", nodes[0], f"node:{build.scratch.rotating[0]}"):
        build.relations.lax |= {(caller, node) for node in nodes}


def audit_lost(build: Build) -> None:
    build.sink.away = True


def audit_breaks(build: Build) -> None:
    build.sink.fails = RuntimeError("the queue is gone")


def stray_bits(value: dict[str, Any]) -> None:
    """43 digits carry 258 bits; the last two are none of the key's, and not zero here."""
    key = value["peers"][0]["public_key"]
    value["peers"][0]["public_key"] = key[:42] + chr(ord(key[42]) + 1) + "="


def drop_a_peer(value: dict[str, Any]) -> None:
    del value["peers"][1]


def allow_everything(value: dict[str, Any]) -> None:
    value["policy"]["rules"][0]["source_cidr"] = "0.0.0.0/0"


def top(**changes: Any) -> SwitchOn:
    """Edits keys of the envelope, or of whatever a 200 carries."""
    return on_value(200, lambda value: value.update(changes))


def reachability(**changes: Any) -> SwitchOn:
    return on_value(200, lambda value: value["reachability"].update(changes))


def problem(http: int, /, **changes: Any) -> SwitchOn:
    """Edits the Problems of one status."""
    return on_value(http, lambda value: value.update(changes))


def body(change: Callable[[bytes], bytes]) -> SwitchOn:
    """Edits the bytes of every 200; HEAD has none."""

    def edit(shown: Shown) -> None:
        if shown.status == 200 and shown.body:
            shown.body = change(shown.body)

    return editing(edit)


def add_a_key(value: dict[str, Any]) -> None:
    value["revision"] = 1


def duplicate_the_first_peer(value: dict[str, Any]) -> None:
    value["peers"].insert(0, value["peers"][0])


def empty_the_reports(value: dict[str, Any]) -> None:
    value["reports"] = {"metadata": [], "data": [], "reports": []}
