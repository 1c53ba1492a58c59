"""``kill -9`` of a worker at every step of a write: the write is done wholly or not at all.

The worker is that of a test build (crashing_wsgi.py), which dies where a test has laid a trap. The
stack is this module's own: its SpiceDB is held against its ledger tuple by tuple.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest

from tests import scratch
from tests.client import Reply
from tests.e2e.crash_steps import FOLDER, Step, Traps
from tests.e2e.crash_world import (
    AGREED,
    BUILD,
    LOOKS,
    WRITES,
    Service,
    Write,
    audit_rows,
    differences,
    drained,
    events,
    half_done,
    hosts,
    registered,
    registration,
    takes,
    waiting,
)
from tests.stacks import another_build, running_stack
from tests.waiting import until

CLIENTS = 16
# Eight writes stand at a step at once, each with a connection or a call to SpiceDB.
ROOM = {
    "PLEXSPHERE_THREADS": "64",
    "PLEXSPHERE_WRITE_POOL_SIZE": "8",
    "PLEXSPHERE_SPICEDB_CALLS": "16",
}
# The steps between are a relay's too, which tests/integration/test_outbox_outages.py kills there;
# `make fuzz` takes every step.
ENDS = (Step.ASKED, Step.COMMITTED, Step.TAKEN, Step.SENDING)
STEPS = tuple(Step) if os.environ.get("CRASH_STEPS") == "all" else ENDS


@pytest.fixture(scope="module")
def alone() -> Iterator[Service]:
    """One worker: who dies takes everybody along, and who retries waits for the next."""
    with running_stack("crashes", nodes=8) as stack:
        traps = Traps(stack.places.folder / "traps")
        env = {FOLDER: str(traps.folder), "PLEXSPHERE_WORKERS": "1", **ROOM}
        with another_build(stack, BUILD, "tests.e2e.crashing_wsgi:application", env) as url:
            yield Service(stack, url, traps)


@pytest.fixture
def service(alone: Service) -> Iterator[Service]:
    """Nothing of an earlier test waits, in the folder or in the outbox."""
    alone.traps.clear()
    drained(alone)
    yield alone
    alone.traps.clear()


def died_together(service: Service, writes: list[Write], step: Step) -> list[Reply | None]:
    """Each client's answer, or None, when the worker is gone: all of them were at ``step``."""
    *others, last = writes
    with ThreadPoolExecutor(len(others)) as clients:
        with service.traps.holding(step):
            replies = [clients.submit(write.sent.to, service) for write in others]
            until(lambda: service.traps.waiting(step) == len(others), "the others to arrive")
            service.traps.lay(step)
            reply = last.sent.to(service)
            until(lambda: service.traps.laid() == [], "a death")
        return [*(future.result() for future in replies), reply]


def whole_or_nothing(service: Service, write: Write, done: bool) -> None:
    """Each address once, too, and the next one the lowest free."""
    assert write.done() is done
    assert half_done(service) == []
    if write.domain_id:
        count = len(hosts(service, write.domain_id))
        assert hosts(service, write.domain_id) == list(range(1, count + 1))
        last = registered(service, write.domain_id)["mesh_ip"].rpartition(":")[2]
        assert int(last, 16) == count + 1


def refused_for_good(service: Service, write: Write) -> bool:
    return service.pull(write.node["node_id"], write.node["token"]).status in (403, 404)


def assert_found(service: Service, name: str, write: Write, step: Step) -> None:
    """A retry finds the write done, or does it; and nothing is told twice."""
    reply = write.sent.to(service)
    assert reply is not None
    expected = (write.sent.expected,) if step is Step.ASKED else write.sent.again
    assert reply.status in expected, reply.body
    if name == "DeleteNode":
        object = f"node:{write.node['node_id']}"
        assert refused_for_good(service, write)
    elif name == "CreateDomain":
        object = f"domain:{reply.json['id']}"
        assert waiting(service, object) == 0
        registered(service, reply.json["id"])
    else:
        node = {**write.node, **reply.json}
        object = f"node:{node['node_id']}"
        assert waiting(service, object) == 0
        assert service.pull(node["node_id"], node["token"]).status == 200
    assert events(service, object) == write.events


@pytest.mark.parametrize("step", STEPS)
def test_writes_that_die_at_a_step_are_whole_or_nothing_and_a_retry_finds_its_own(
    service: Service, step: Step
) -> None:
    """Two of each kind die at once: one client comes back, the other does not; a relay brings what
    that one left."""
    names = [name for name in WRITES if takes(name, step)]
    gone, retried = ({name: WRITES[name](service) for name in names} for _ in range(2))
    replies = died_together(service, [*gone.values(), *retried.values()], step)
    assert set(replies) == {None}  # half an answer is none
    for name in names:
        assert gone[name].done() is (step is not Step.ASKED), name
        assert audit_rows(service, gone[name]) == (step is not Step.ASKED), name
        assert_found(service, name, retried[name], step)

    drained(service)
    assert differences(service) == AGREED
    for name in names:
        whole_or_nothing(service, retried[name], done=True)
        whole_or_nothing(service, gone[name], done=step is not Step.ASKED)


def test_a_domain_that_nobody_came_back_for_has_its_managers_once_the_relay_has_run(
    service: Service,
) -> None:
    write = WRITES["CreateDomain"](service)
    service.traps.lay(Step.COMMITTED)
    assert write.sent.to(service) is None
    drained(service)
    newest = "SELECT id::text FROM plexsphere.domains ORDER BY created_at DESC LIMIT 1"
    registered(service, service.rows(newest)[0][0])


def test_a_rotation_that_nobody_heard_of_is_in_the_peers_of_the_others_at_once(
    service: Service,
) -> None:
    write = WRITES["RotateNodeKey"](service)
    other = registered(service, write.domain_id)
    service.traps.lay(Step.COMMITTED)
    assert write.sent.to(service) is None
    (peer,) = service.pull(other["node_id"], other["token"]).json["peers"]
    assert peer["public_key"] == json.loads(write.sent.body or b"{}")["public_key"]


def test_a_worker_that_dies_while_the_ledger_waits_for_a_lock_leaves_one_node_or_none(
    service: Service,
) -> None:
    """Postgres may carry out what nobody waits for any more: only the retry can tell."""
    write = registration(service)
    blocked = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE '%register_node%'"
    )
    with closing(psycopg2.connect(service.stack.dsn)) as holder, ThreadPoolExecutor(1) as client:
        lock = "SELECT FROM plexsphere.domains WHERE id = %s FOR UPDATE"
        holder.cursor().execute(lock, (write.domain_id,))
        first = client.submit(write.sent.to, service)
        until(lambda: service.rows(blocked)[0][0] == 1, "the ledger to wait")
        os.kill(service.worker(), signal.SIGKILL)
        assert first.result() is None
        holder.rollback()
    reply = write.sent.to(service)
    assert reply is not None and reply.status in (200, 201)
    assert service.pull(reply.json["node_id"], reply.json["token"]).status == 200
    assert differences(service) == AGREED
    whole_or_nothing(service, write, done=True)


def test_sixteen_clients_that_retry_through_several_deaths_have_a_node_each(
    service: Service,
) -> None:
    """At one step of each kind: before the ledger, between it and SpiceDB, behind both."""
    home = scratch.domain(service.stack)
    writes = [registration(service, home) for _ in range(CLIENTS)]
    for step in (Step.ASKED, Step.CLAIMED, Step.SENDING):
        service.traps.lay(step)

    def persist(write: Write) -> Reply:
        """One death takes the requests of all threads along, so a few attempts are needed."""
        for _ in range(LOOKS):
            reply = write.sent.to(service)
            if reply is not None and reply.status in (200, 201):
                return reply
        raise AssertionError("never answered")

    with ThreadPoolExecutor(CLIENTS) as clients:
        replies = list(clients.map(persist, writes))
    assert service.traps.laid() == [], "a step nobody reached"
    assert len({reply.json["node_id"] for reply in replies}) == CLIENTS
    assert hosts(service, home) == list(range(1, CLIENTS + 1))
    for reply in replies:
        assert service.pull(reply.json["node_id"], reply.json["token"]).status == 200
    drained(service)
    assert differences(service) == AGREED
    whole_or_nothing(service, writes[0], done=True)
