"""Heartbeats over sockets: every status, and the ledger and audit trail behind each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from uuid import uuid4

import psycopg2

from server.dev.stack import Stack
from server.settings import Settings
from tests import scratch
from tests.client import ask, bearer, pull_path
from tests.heartbeats import beat, last_heartbeat
from tests.key_sources import wait_for
from tests.ledger_sql import audit_rows, polling, run_sql

UNREAL = "0190ffff-0000-7000-8000-00000000ffff"


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


def test_an_accept_that_rules_json_out_is_406_and_nothing_is_written(stack: Stack) -> None:
    before = last_heartbeat(stack)
    reply = beat(stack, Accept="text/html")
    assert (reply.status, reply.code) == (406, "not_acceptable")
    assert last_heartbeat(stack) == before


def test_a_stranger_sees_the_same_403_for_a_real_and_an_unreal_node(stack: Stack) -> None:
    stranger = {"Authorization": f"Bearer {stack.token('user:operator')}"}
    replies = [beat(stack, node_id=node_id, **stranger) for node_id in (stack.node_id, UNREAL)]
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


def test_no_heartbeat_waits_for_the_registrations_of_a_domain_that_is_held(stack: Stack) -> None:
    """Every connection of the registry's writers waits for the same row meanwhile."""
    home = scratch.domain(stack)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    writers = 2 * Settings().shared_threads.write  # of two workers
    with closing(psycopg2.connect(stack.dsn)) as holder, ThreadPoolExecutor(4 * writers) as clients:
        lock = "SELECT FROM plexsphere.domains WHERE id = %s FOR UPDATE"
        holder.cursor().execute(lock, (home,))
        path = f"/v1/domains/{home}/nodes"
        sent = [clients.submit(scratch.post, stack, path, "RegisterNode") for _ in range(32)]
        with polling(stack.dsn) as look:
            wait_for(lambda: look(waiting)[0][0] >= writers)
        assert [beat(stack).status for _ in range(8)] == [200] * 8
        holder.rollback()
    assert {future.result().status for future in sent} <= {201, 503}


def test_a_service_in_real_time_says_nothing_of_a_test_clock(stack: Stack) -> None:
    assert "test_clock" not in (stack.places.gunicorn / "gunicorn.log").read_text()
