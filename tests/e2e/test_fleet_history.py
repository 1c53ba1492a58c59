"""``fleet history`` over sockets: what a Node was served, and what changed, in words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import ask, bearer, pull_path
from tests.command_runs import run
from tests.ledger_sql import audit_rows, polling, run_sql
from tests.stacks import running_stack

KEPT = "SELECT count(*) FROM plexsphere.node_bodies WHERE node_id = %s"


@pytest.fixture(scope="module")
def keeping() -> Iterator[Stack]:
    env = {"PLEXSPHERE_HISTORY": "3"}
    with running_stack("history", nodes=4, workers=2, env=env) as stack:
        yield stack


def pulled(stack: Stack, node: dict[str, Any], **headers: str) -> str:
    """A pull that is on record; its digest."""
    mark = f"history-{uuid4().hex}"
    sent = bearer(node["token"]) | {"X-Correlation-Id": mark} | headers
    reply = ask(stack.url, pull_path(node["node_id"]), sent)
    assert reply.status in (200, 304)
    assert len(audit_rows(stack.dsn, mark)) == 1
    return reply.headers["etag"].removeprefix('W/"').removesuffix('"')


def kept(stack: Stack, node: dict[str, Any], expected: int) -> int:
    """The number of bodies, once it is the expected one (or the time is up)."""
    with polling(stack.dsn) as look:
        for _ in range(200):
            found: int = look(KEPT, (node["node_id"],))[0][0]
            if found >= expected:
                break
            time.sleep(0.02)
    return found


def test_history_says_in_words_what_changed_from_pull_to_pull(keeping: Stack) -> None:
    domain_id = scratch.domain(keeping)
    node = scratch.registered(keeping, domain_id)
    alone = pulled(keeping, node)
    for _ in range(4):
        assert pulled(keeping, node) == alone
    assert pulled(keeping, node, **{"If-None-Match": f'W/"{alone}"'}) == alone
    peer = scratch.registered(keeping, domain_id)
    with_peer = pulled(keeping, node)
    assert kept(keeping, node, 2) == 2
    key = body_now("RotateNodeKey")
    headers = {**JSON, **bearer(peer["token"])}
    path = f"/v1/nodes/{peer['node_id']}/public-key"
    assert ask(keeping.url, path, headers, method="PUT", body=key).status == 200
    rotated = pulled(keeping, node)
    assert kept(keeping, node, 3) == 3
    result = run("fleet", "history", node["node_id"], PLEXSPHERE_DSN=keeping.dsn)
    assert result.exit_code == 0
    first, second = result.stdout.split("From  ")[1:]
    assert first.startswith(f"{alone[:12]} to {with_peer[:12]}")
    assert "peers  1 added" in first and peer["node_id"] in first and peer["mesh_ip"] in first
    assert second.startswith(f"{with_peer[:12]} to {rotated[:12]}")
    assert "peers  1 changed" in second and "public_key=" in second
    assert json.loads(key)["public_key"] in second
    as_json = run("fleet", "history", node["node_id"], "--json", PLEXSPHERE_DSN=keeping.dsn)
    served = json.loads(as_json.stdout)["served"]
    assert [(body["digest"], body["grants"], body["kept"]) for body in served] == [
        (alone, 6, True),
        (with_peer, 1, True),
        (rotated, 1, True),
    ]


def test_the_newest_as_many_as_the_setting_says_are_kept(keeping: Stack) -> None:
    domain_id = scratch.domain(keeping)
    node = scratch.registered(keeping, domain_id)
    digests = [pulled(keeping, node)]
    for _ in range(4):
        scratch.registered(keeping, domain_id)
        digests.append(pulled(keeping, node))
        kept(keeping, node, min(3, len(digests)))
    result = run("fleet", "history", node["node_id"], "--json", PLEXSPHERE_DSN=keeping.dsn)
    served = json.loads(result.stdout)["served"]
    assert [body["digest"] for body in served] == digests
    assert [body["kept"] for body in served] == [False, False, True, True, True]


def test_what_is_kept_is_what_was_sent_byte_for_byte(keeping: Stack) -> None:
    from db.history import NodeHistory
    from tests.ports.deadlines import in_time

    node = scratch.registered(keeping, scratch.domain(keeping))
    body = ask(keeping.url, pull_path(node["node_id"]), bearer(node["token"])).body
    assert kept(keeping, node, 1) == 1
    with closing(NodeHistory(keeping.dsn, node["node_id"])) as history:
        (found,) = history.bodies(in_time())
    assert found.body() == body


def test_nothing_is_kept_unless_a_setting_says_so(stack: Stack) -> None:
    domain_id = scratch.domain(stack)
    node = scratch.registered(stack, domain_id)
    for _ in range(3):  # bodies follow the rows of their pulls: the earlier ones would be there
        pulled(stack, node)
        scratch.registered(stack, domain_id)
    assert kept(stack, node, 0) == 0
    assert run_sql(stack.dsn, "SELECT count(*) FROM plexsphere.node_bodies") == [(0,)]
