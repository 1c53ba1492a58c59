"""The gate table of the pull over sockets, against gunicorn, Postgres and SpiceDB.

Every operation's gates are in tests/golden/operations; here the real parts give the same answers.
"""

from __future__ import annotations

import base64
import json
from uuid import uuid4

import pytest

from server.dev.stack import Stack
from server.settings import read_settings
from server.wiring import wire
from tests.client import Reply, ask, bearer, pull_path
from tests.ledger_sql import audit_rows, run_sql

UNREAL = "0190ffff-0000-7000-8000-00000000ffff"
KEYS = ["peers", "reachability", "policy", "bridge", "state", "reports"]


def pull(stack: Stack, node_id: object, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(stack.url, pull_path(node_id), stack.headers | named)


def test_an_agent_gets_the_whole_desired_state_of_its_node(stack: Stack) -> None:
    reply = pull(stack, stack.node_id)
    assert reply.status == 200
    assert list(reply.json) == KEYS
    assert len(reply.json["peers"]) == stack.sample.nodes - 2  # itself and the corrupt row
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "private, no-cache"
    assert reply.headers["vary"] == "Authorization, Accept-Encoding"


def test_the_audit_row_of_a_200_carries_the_digest_that_was_served(stack: Stack) -> None:
    mark = f"granted-{uuid4().hex}"
    reply = pull(stack, stack.node_id, X_Correlation_Id=mark)
    node = f"node:{stack.node_id}"
    digest = reply.headers["etag"].removeprefix('W/"').removesuffix('"')
    assert audit_rows(stack.dsn, mark) == [("node_state.pull", "granted", node, node, digest)]
    assert reply.headers["x-correlation-id"] == mark


def test_a_held_digest_is_304_after_all_gates_with_an_audit_row(stack: Stack) -> None:
    etag = pull(stack, stack.node_id).headers["etag"]
    mark = f"held-{uuid4().hex}"
    reply = pull(stack, stack.node_id, If_None_Match=f'"other", {etag}', X_Correlation_Id=mark)
    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers["etag"] == etag
    assert [row[1] for row in audit_rows(stack.dsn, mark)] == ["granted"]


def test_a_held_digest_does_not_get_a_stranger_past_a_gate(stack: Stack) -> None:
    etag = pull(stack, stack.node_id).headers["etag"]
    other = stack.sample.node_id(1)
    assert pull(stack, other, If_None_Match="*").status == 403
    assert ask(stack.url, pull_path(stack.node_id), {"If-None-Match": etag}).status == 401


def test_head_passes_the_same_gates_and_has_no_body(stack: Stack) -> None:
    mark = f"head-{uuid4().hex}"
    headers = stack.headers | {"X-Correlation-Id": mark}
    reply = ask(stack.url, pull_path(stack.node_id), headers, method="HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.headers["content-length"]) > 1000
    assert [row[1] for row in audit_rows(stack.dsn, mark)] == ["granted"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_token_is_401_with_a_challenge_and_no_audit_row(stack: Stack, method: str) -> None:
    mark = f"nobody-{uuid4().hex}"
    reply = ask(stack.url, pull_path(stack.node_id), {"X-Correlation-Id": mark}, method=method)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    pull(stack, stack.node_id, X_Correlation_Id=f"{mark}-after")
    assert len(audit_rows(stack.dsn, f"{mark}-after")) == 1  # the queue has been written since
    assert audit_rows(stack.dsn, mark, expected=0) == []


def test_a_stranger_sees_the_same_403_for_a_real_and_an_unreal_node(stack: Stack) -> None:
    stranger = bearer(stack.token("user:operator"))
    real = ask(stack.url, pull_path(stack.node_id), stranger)
    unreal = ask(stack.url, pull_path(UNREAL), stranger)
    assert (real.status, unreal.status) == (403, 403)
    assert real.blanked() == unreal.blanked()
    varying = {"date", "x-correlation-id"}
    shown = [{k: v for k, v in r.headers.items() if k not in varying} for r in (real, unreal)]
    assert shown[0] == shown[1]


def test_a_403_leaves_an_audit_row(stack: Stack) -> None:
    mark = f"stranger-{uuid4().hex}"
    other = stack.sample.node_id(1)
    assert pull(stack, other, X_Correlation_Id=mark).code == "insufficient_relation"
    assert audit_rows(stack.dsn, mark) == [
        ("node_state.pull", "insufficient_relation", f"node:{stack.node_id}", f"node:{other}", None)
    ]


def test_a_node_that_left_the_ledger_is_404_for_its_own_agent(stack: Stack) -> None:
    """Its tuple is still there, as it is between deregistration and the tuple's removal."""
    gone = stack.sample.node_id(stack.sample.nodes - 1)
    row = run_sql(
        stack.dsn,
        "DELETE FROM plexsphere.nodes WHERE id = %s"
        " RETURNING domain_id::text, name, host(mesh_ip), public_key",
        (str(gone),),
    )[0]
    try:
        reply = ask(stack.url, pull_path(gone), bearer(stack.token(f"node:{gone}")))
        assert (reply.status, reply.code) == (404, "node_not_found")
    finally:
        run_sql(
            stack.dsn,
            "INSERT INTO plexsphere.nodes (id, domain_id, name, mesh_ip, public_key)"
            " VALUES (%s, %s, %s, %s, %s)",
            (str(gone), *row),
        )


def test_a_rule_set_against_its_fingerprint_is_500_without_a_code(stack: Stack) -> None:
    run_sql(
        stack.dsn,
        "INSERT INTO plexsphere.policy_compiled_ruleset"
        " (node_id, policy_id, revision_id, rule_payload, fingerprint)"
        " VALUES (%s, '0190ffff-0000-7000-8000-0000000000aa', gen_random_uuid(), '', 'wrong')",
        (stack.node_id,),
    )
    try:
        reply = pull(stack, stack.node_id)
        assert reply.status == 500
        assert "code" not in reply.json
        assert reply.json["type"] == "https://plexsphere.com/errors/internal"
    finally:
        run_sql(
            stack.dsn,
            "DELETE FROM plexsphere.policy_compiled_ruleset"
            " WHERE policy_id = '0190ffff-0000-7000-8000-0000000000aa'",
        )
    assert pull(stack, stack.node_id).status == 200


def test_events_are_501_for_anyone(stack: Stack) -> None:
    for headers in ({}, stack.headers, {"Authorization": "Basic eDp5"}):
        reply = ask(stack.url, f"/v1/nodes/{stack.node_id}/events", headers)
        assert (reply.status, reply.code) == (501, "signed_event_bus_not_provisioned")


def test_an_unknown_route_is_404_before_everything(stack: Stack) -> None:
    reply = ask(stack.url, "/v1/nope")
    assert (reply.status, reply.json["type"]) == (404, "https://plexsphere.com/errors/not-found")


def test_every_problem_carries_its_correlation_id_in_body_and_header(stack: Stack) -> None:
    replies = [ask(stack.url, path) for path in ("/nope", pull_path("x"), "/v1/nodes/x/events")]
    replies.append(ask(stack.url, pull_path(stack.node_id), method="DELETE"))
    assert [reply.status for reply in replies] == [404, 401, 501, 405]
    for reply in replies:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json["correlation_id"] == reply.headers["x-correlation-id"]


def test_an_ill_formed_correlation_id_is_replaced(stack: Stack) -> None:
    reply = pull(stack, stack.node_id, X_Correlation_Id="no spaces, please")
    assert len(reply.headers["x-correlation-id"]) == 32


def test_two_pulls_are_byte_equal_also_across_processes(stack: Stack) -> None:
    extra = stack.extra_gunicorn("second", {"PYTHONHASHSEED": "7"}, "/readyz")
    try:
        path, headers = (
            pull_path(stack.sample.bridge_id),
            bearer(stack.token(f"node:{stack.sample.bridge_id}")),
        )
        bodies = {ask(url, path, headers).body for url in (stack.url, extra.url) for _ in range(8)}
        assert len(bodies) == 1
        body = bodies.pop()
        assert (
            json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode() == body
        )
    finally:
        extra.stop()


def test_the_runbooks_sql_agrees_with_the_pull(stack: Stack) -> None:
    """The runbook's query, verbatim but for the driver's placeholders."""
    rows = run_sql(
        stack.dsn,
        "PREPARE runbook (uuid, uuid) AS SELECT node_id, mesh_ip, public_key FROM"
        " plexsphere.tenancy_nodes WHERE domain_id = $1 AND id <> $2 ORDER BY node_id ASC;"
        f" EXECUTE runbook ('{stack.sample.domain_id}', '{stack.node_id}')",
    )
    from_ledger = [
        (node, ip, base64.b64encode(bytes(key)).decode())
        for node, ip, key in rows
        if ip is not None
    ]
    peers = pull(stack, stack.node_id).json["peers"]
    assert from_ledger == [(p["node_id"], p["mesh_ip"], p["public_key"]) for p in peers]
    assert len(rows) == len(peers) + 1  # the corrupt row is in the ledger and not in the pull


def test_an_answer_that_was_withheld_is_not_on_record_as_granted(stack: Stack) -> None:
    """A ledger row outside the contract: the pull is a 500, and nobody was granted anything."""
    bridge, mark = stack.sample.bridge_id, f"withheld-{uuid4().hex}"
    agent = bearer(stack.token(f"node:{bridge}"))
    where = "plexsphere.bridge_ingress_rules SET sni_host"
    rows = run_sql(stack.dsn, "SELECT id::text, sni_host FROM plexsphere.bridge_ingress_rules")
    run_sql(stack.dsn, f"UPDATE {where} = 'not a host!!'")
    try:
        reply = ask(stack.url, pull_path(bridge), agent | {"X-Correlation-Id": mark})
        assert (reply.status, "code" in reply.json) == (500, False)
        headers = agent | {"If-None-Match": "*", "X-Correlation-Id": f"{mark}-held"}
        assert ask(stack.url, pull_path(bridge), headers).status == 500  # nor is it confirmed
    finally:
        for row_id, host in rows:
            run_sql(stack.dsn, f"UPDATE {where} = %s WHERE id = %s", (host, row_id))
    after = ask(stack.url, pull_path(bridge), agent | {"X-Correlation-Id": f"{mark}-after"})
    assert after.status == 200
    assert len(audit_rows(stack.dsn, f"{mark}-after")) == 1
    assert audit_rows(stack.dsn, mark, expected=0) == []
    assert audit_rows(stack.dsn, f"{mark}-held", expected=0) == []


def test_the_wiring_receipt_is_printed_at_boot_once_and_complete(stack: Stack) -> None:
    lines = (stack.places.gunicorn / "gunicorn.log").read_text().splitlines()
    receipts = [json.loads(line) for line in lines if '"wiring_receipt"' in line]
    assert [receipt["complete"] for receipt in receipts] == [True]
    built = wire(read_settings(stack.env))
    assert built.receipt.complete
    # The command itself keeps no answers.
    assert built.receipt.ports | {"LastAnswers": "FileLastAnswers"} == receipts[0]["ports"]
    built.close()
