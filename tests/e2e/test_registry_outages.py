"""Postgres and SpiceDB lost in the middle of a registration, behind its gates: 503, nothing lost.

The request is held between two steps by the test build (crashing_wsgi.py) while the part goes away.
The stack is this module's own, because its tests break it. Its Postgres is stopped, never killed: a
development ledger does not wait for its disk, so it would forget what it has acknowledged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.tuples import TupleWriter
from server.dev.ports import HOST
from tests import scratch
from tests.client import Reply, ask
from tests.e2e.crash_steps import FOLDER, Step, Traps
from tests.e2e.crash_world import (
    AGREED,
    BUILD,
    Sent,
    Service,
    Write,
    differences,
    drained,
    half_done,
    hosts,
    registration,
    waiting,
)
from tests.ports.deadlines import in_time
from tests.stacks import another_build, running_stack
from tests.waiting import until

CLIENTS = 12  # no more than threads of requests, because each must be under way


@pytest.fixture(scope="module")
def alone() -> Iterator[Service]:
    with running_stack("registry-outages", nodes=8) as stack:
        traps = Traps(stack.places.folder / "traps")
        env = {FOLDER: str(traps.folder), "PLEXSPHERE_WORKERS": "1"}
        with another_build(stack, BUILD, "tests.e2e.crashing_wsgi:application", env) as url:
            yield Service(stack, url, traps)


@pytest.fixture
def service(alone: Service) -> Service:
    """Answers, and nothing of an earlier test waits."""
    alone.traps.clear()
    until(lambda: ask(alone.url, "/readyz").status == 200, "the service to recover")
    # The stack's own service, which makes the Domains of the tests, recovers by itself.
    domains = "/v1/domains"
    until(lambda: scratch.post(alone.stack, domains, "CreateDomain").status == 201, "Domains")
    drained(alone)
    return alone


def lost_at(
    service: Service, step: Step, writes: list[Write], lose: Callable[[], None]
) -> list[Reply]:
    """The answers to writes that were all at ``step`` when a part went away."""
    with ThreadPoolExecutor(len(writes)) as clients:
        with service.traps.holding(step):
            sent = [clients.submit(write.sent.to, service) for write in writes]
            until(lambda: service.traps.waiting(step) == len(writes), "all of them to arrive")
            lose()
        replies = [future.result() for future in sent]
    assert None not in replies
    return [reply for reply in replies if reply is not None]


def refused(reply: Reply, code: str) -> bool:
    assert (reply.status, reply.code) == (503, code)
    return int(reply.headers["retry-after"]) > 0


def node_of(service: Service, domain_id: str) -> str:
    sql = "SELECT id::text FROM plexsphere.nodes WHERE domain_id = %s"
    ((node_id,),) = service.rows(sql, domain_id)
    return str(node_id)


def never_told(service: Service, node_id: str) -> None:
    """The stack fills an empty SpiceDB from the ledger; one that keeps its store knows no more than
    it was told."""
    key = service.stack.env["PLEXSPHERE_SPICEDB_TOKEN"]
    endpoint = SpiceDbEndpoint(f"{HOST}:{service.stack.spicedb.port}", key, insecure=True)
    with closing(SpiceDbChannel(endpoint, timeout=5)) as channel:
        writer = TupleWriter(channel)
        writer.delete(writer.tuples_of(f"node:{node_id}", in_time()), in_time())
    assert differences(service) == {**AGREED, "on_their_way": 1}


def later_answer(service: Service, sent: Sent) -> Reply:
    """The answer to the same request once the part is back."""
    found: list[Reply] = []

    def answered() -> bool:
        reply = sent.to(service)
        if reply is not None and reply.status != 503:
            found.append(reply)
        return bool(found)

    until(answered, "an answer that is no 503")
    return found[0]


@pytest.mark.parametrize("comes_back", [True, False], ids=["retried", "left to the relay"])
def test_a_node_whose_tuples_spicedb_could_not_take_stays_and_is_granted_when_it_is_back(
    service: Service, comes_back: bool
) -> None:
    write = registration(service)
    spicedb = service.stack.spicedb
    try:
        (reply,) = lost_at(service, Step.COMMITTED, [write], spicedb.kill)
        assert refused(reply, "authz_unavailable")
        assert write.done()
    finally:
        spicedb.start()
    node_id = node_of(service, write.domain_id)
    never_told(service, node_id)
    token = service.stack.token(f"node:{node_id}")
    if comes_back:
        found = later_answer(service, write.sent)
        assert (found.status, found.json["node_id"]) == (200, node_id)
        token = found.json["token"]  # the retry ends the tokens that were issued before it
    else:
        drained(service)
    until(lambda: service.pull(node_id, token).status == 200, "the Node's first pull")
    assert (waiting(service, f"node:{node_id}"), differences(service)) == (0, AGREED)
    assert half_done(service) == []


def test_a_registration_that_finds_postgres_gone_leaves_nothing(service: Service) -> None:
    write = registration(service)
    postgres = service.stack.postgres
    try:
        (reply,) = lost_at(service, Step.ASKED, [write], postgres.stop)
        assert refused(reply, "datastore_unavailable")
    finally:
        postgres.start()
    assert (write.done(), half_done(service)) == (False, [])
    assert later_answer(service, write.sent).status == 201
    assert hosts(service, write.domain_id) == [1]
    assert differences(service) == AGREED


def test_a_registration_whose_ledger_went_behind_it_is_found_by_its_retry(
    service: Service,
) -> None:
    """The Node is committed, its outbox row cannot be claimed: not SpiceDB is away, Postgres is."""
    write = registration(service)
    postgres = service.stack.postgres
    try:
        (reply,) = lost_at(service, Step.COMMITTED, [write], postgres.stop)
        assert refused(reply, "datastore_unavailable")
    finally:
        postgres.start()
    assert write.done()
    assert later_answer(service, write.sent).status == 200
    assert differences(service) == AGREED


def test_registrations_that_meet_a_frozen_spicedb_all_end_and_none_is_lost(
    service: Service,
) -> None:
    home = scratch.domain(service.stack)
    writes = [registration(service, home) for _ in range(CLIENTS)]
    spicedb, alive, stop = service.stack.spicedb, [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            alive.append(ask(service.url, "/livez").status)

    watcher = threading.Thread(target=watch)

    def freeze() -> None:
        spicedb.freeze()
        watcher.start()

    with ExitStack() as ends:
        ends.callback(spicedb.thaw)
        replies = lost_at(service, Step.COMMITTED, writes, freeze)
        stop.set()
        watcher.join()
    assert all(refused(reply, "authz_unavailable") for reply in replies)
    assert alive and set(alive) == {200}
    assert hosts(service, home) == list(range(1, CLIENTS + 1))
    found = [later_answer(service, write.sent) for write in writes]
    assert {reply.status for reply in found} == {200}
    assert len({reply.json["node_id"] for reply in found}) == CLIENTS
    for reply in found:
        assert service.pull(reply.json["node_id"], reply.json["token"]).status == 200
    drained(service)
    assert (differences(service), half_done(service)) == (AGREED, [])
