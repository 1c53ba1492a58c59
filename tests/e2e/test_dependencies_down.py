"""Postgres and SpiceDB stopped, killed and frozen under requests: 503, never open, never stuck.

The stack is this module's own, because its tests break it. Times are bounds on waiting, generous
enough for a busy machine; what they are beside each other is measured in tests/bench.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from authzed.api.v1 import DeleteRelationshipsRequest, RelationshipFilter

from composer.deadline import Deadline
from handlers.node_state import STALE_HEADER
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.dev.parts import Part
from server.dev.ports import HOST
from server.dev.stack import Stack
from tests.client import Reply, ask, pull_path
from tests.heartbeats import beat
from tests.stacks import running_stack


@pytest.fixture(scope="module")
def broken() -> Iterator[Stack]:
    # The last answers have a test of their own below.
    env = {"PLEXSPHERE_STALE_READ_TTL": "0"}
    with running_stack("broken", nodes=8, workers=1, env=env) as stack:
        yield stack


def pull(stack: Stack) -> Reply:
    return ask(stack.url, pull_path(stack.node_id), stack.headers)


# What an agent asks for: its desired state, and to be heard.
ASKED: Mapping[str, Callable[[Stack], Reply]] = {"pull": pull, "heartbeat": beat}


def until_granted(stack: Stack) -> None:
    """Both: they have a pool of connections each."""
    for _ in range(200):
        if {ask_for(stack).status for ask_for in ASKED.values()} == {200}:
            return
        time.sleep(0.05)
    pytest.fail("the service did not recover")


def is_down_according_to_readyz(stack: Stack, name: str) -> bool:
    """Asked until it is: what was found stands for a second, and answered pulls for three."""
    for _ in range(200):
        readiness = ask(stack.url, "/readyz")
        checks = readiness.json["checks"]
        if readiness.status == 503 and name in [
            check["name"] for check in checks if check["status"] == "down"
        ]:
            return True
        time.sleep(0.05)
    return False


def part_named(stack: Stack, name: str) -> Part:
    return stack.parts[name]


CODES = {"postgres": "datastore_unavailable", "spicedb": "authz_unavailable"}


@pytest.mark.parametrize("name", CODES)
def test_a_stopped_dependency_is_503_and_its_return_is_noticed(broken: Stack, name: str) -> None:
    until_granted(broken)
    part_named(broken, name).stop()
    try:
        for ask_for in ASKED.values():
            reply = ask_for(broken)
            assert (reply.status, reply.code) == (503, CODES[name])
            assert int(reply.headers["retry-after"]) > 0
        assert ask(broken.url, "/livez").status == 200
        assert is_down_according_to_readyz(broken, name)
    finally:
        part_named(broken, name).start()
    until_granted(broken)


def test_a_spicedb_that_lost_its_tuples_is_down_and_its_return_is_noticed(broken: Stack) -> None:
    """Every agent would be 403, although SpiceDB answers every check."""
    until_granted(broken)
    spicedb = part_named(broken, "spicedb")
    key = broken.places.spicedb_token.read_text()
    channel = SpiceDbChannel(SpiceDbEndpoint(f"{HOST}:{spicedb.port}", key, insecure=True), 5.0)
    every_agent = RelationshipFilter(resource_type="node", optional_relation="agent")
    channel.permissions(
        "DeleteRelationships",
        DeleteRelationshipsRequest(relationship_filter=every_agent),
        Deadline.after(5, time.monotonic),
    )
    try:
        assert is_down_according_to_readyz(broken, "spicedb")
        assert {ask_for(broken).status for ask_for in ASKED.values()} == {403}
    finally:
        channel.close()
        spicedb.stop()
        spicedb.start()  # with the tuples of the ledger
    until_granted(broken)


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("name", CODES)
def test_a_frozen_dependency_never_stops_livez_and_every_request_ends(
    broken: Stack, name: str, asked: str
) -> None:
    until_granted(broken)
    frozen = part_named(broken, name)
    frozen.freeze()
    alive: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            alive.append(ask(broken.url, "/livez").status)

    watcher = threading.Thread(target=watch)
    try:
        with ThreadPoolExecutor(32) as pool:
            watcher.start()
            waiting = [pool.submit(ASKED[asked], broken) for _ in range(48)]
            replies = [future.result() for future in waiting]
        assert {(reply.status, reply.code) for reply in replies} == {(503, CODES[name])}
    finally:
        frozen.thaw()
        stop.set()
        watcher.join()
    assert alive and set(alive) == {200}
    until_granted(broken)


def shows_the_outbox(stack: Stack) -> bool:
    reply = ask(stack.url, "/metrics")
    assert reply.status == 200
    assert b"plexsphere_http_requests_total" in reply.body
    return b"plexsphere_outbox_rows_waiting 0.0" in reply.body


@pytest.mark.parametrize("way", ["stopped", "frozen"])
def test_metrics_of_a_ledger_that_is_away_are_those_of_the_service(broken: Stack, way: str) -> None:
    """For a crowd too, and no thread is held for longer than a second."""
    until_granted(broken)
    assert shows_the_outbox(broken)
    part = broken.postgres
    part.stop() if way == "stopped" else part.freeze()
    try:
        with ThreadPoolExecutor(32) as pool:
            assert not any(pool.map(lambda _: shows_the_outbox(broken), range(48)))
        assert ask(broken.url, "/livez").status == 200
    finally:
        part.start() if way == "stopped" else part.thaw()
    until_granted(broken)
    for _ in range(200):
        if shows_the_outbox(broken):
            return
        time.sleep(0.05)
    pytest.fail("the gauges did not come back")


def test_a_service_started_while_both_are_down_recovers_without_a_restart(broken: Stack) -> None:
    until_granted(broken)
    broken.postgres.stop()
    broken.spicedb.stop()
    try:
        late = broken.extra_gunicorn("late", {})
        assert ask(late.url, "/readyz").status == 503
        assert ask(late.url, pull_path(broken.node_id), broken.headers).status == 503
        assert beat(broken).status == 503
    finally:
        broken.postgres.start()
        broken.spicedb.start()
    for _ in range(200):
        if ask(late.url, pull_path(broken.node_id), broken.headers).status == 200:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the late service did not recover")
    late.stop()
    until_granted(broken)


def test_the_last_answer_is_sent_while_postgres_is_away_and_after_a_restart(
    broken: Stack, tmp_path: Path
) -> None:
    until_granted(broken)
    settings = {
        "PLEXSPHERE_STALE_READ_TTL": "300",
        "PLEXSPHERE_STALE_READ_FOLDER": str(tmp_path / "answers"),
    }
    path = pull_path(broken.node_id)
    kept = broken.extra_gunicorn("keeping", settings)
    first = ask(kept.url, path, broken.headers)
    assert (first.status, STALE_HEADER.lower() in first.headers) == (200, False)
    correlation = {**broken.headers, "X-Correlation-Id": "without-the-ledger"}
    broken.postgres.stop()
    try:
        again = ask(kept.url, path, correlation)
        readiness = ask(kept.url, "/readyz")
        assert (readiness.status, readiness.json["status"]) == (200, "degraded")
        kept.stop()
        restarted = broken.extra_gunicorn("restarted", settings, wait_for="/livez")
        late = ask(restarted.url, path, broken.headers)
        for reply in (again, late):
            assert (reply.status, reply.body) == (200, first.body)
            assert int(reply.headers[STALE_HEADER.lower()]) < 300
        broken.spicedb.stop()
        refused = ask(restarted.url, path, broken.headers)
        assert (refused.status, refused.code) == (503, "authz_unavailable")
        restarted.stop()
    finally:
        broken.postgres.start()
        broken.spicedb.stop()
        broken.spicedb.start()  # with the tuples of the ledger
    until_granted(broken)
