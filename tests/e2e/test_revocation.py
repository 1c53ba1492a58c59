"""The new enemy: who was refused once is not let in again by an older revision of SpiceDB.

The service asks a SpiceDB that answers from the past whenever it may (tests/replaying_spicedb.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from server.dev.ports import HOST
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer, pull_path
from tests.ledger_sql import run_sql
from tests.replaying_spicedb import ReplayingSpiceDb, replaying
from tests.role_commands import change_role
from tests.stacks import made_anew_next_time, running_stack

PULLERS = 12
SEEN = 4  # answers of every puller, before and after


@dataclass
class Service:
    """A service whose SpiceDB answers from the past."""

    stack: Stack
    url: str
    spicedb: ReplayingSpiceDb
    tokens: dict[UUID, str] = field(default_factory=dict)  # of registered Nodes, their own

    def as_operator(self, path: str, operation: str, method: str = "POST") -> Reply:
        headers = {**JSON, **bearer(self.stack.token(OPERATOR))}
        return ask(self.url, path, headers, method=method, body=body_now(operation))

    def pull(self, node: UUID, subject: str = "") -> int:
        own = self.tokens.get(node) or self.stack.token(f"node:{node}")
        token = self.stack.token(subject) if subject else own
        return ask(self.url, pull_path(str(node)), bearer(token)).status

    def read_domain(self, subject: str) -> int:
        path = f"/v1/domains/{self.stack.sample.domain_id}"
        return ask(self.url, path, bearer(self.stack.token(subject))).status

    def change(self, word: str, subject: str, relation: str, object: str) -> None:
        assert change_role(self.stack, word, subject, relation, object).exit_code == 0


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with (
        running_stack("revocation", nodes=16) as stack,
        replaying(stack.spicedb.port) as (spicedb, port),
    ):
        made_anew_next_time(stack)
        endpoint = {"PLEXSPHERE_SPICEDB_ENDPOINT": f"{HOST}:{port}"}
        part = stack.extra_gunicorn("replaying", endpoint)
        yield Service(stack, part.url, spicedb)
        part.stop()


@dataclass
class Pullers:
    """Threads that pull without pause; what each answer was, and when its request began."""

    service: Service
    node: UUID
    answers: list[tuple[float, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, _: int) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            self.answers.append((began, self.service.pull(self.node)))

    def wait(self, since: float) -> list[int]:
        """Enough answers to requests that began after ``since``."""
        deadline = time.monotonic() + 60
        while len(found := [status for began, status in self.answers if began > since]) < (
            PULLERS * SEEN
        ):
            assert time.monotonic() < deadline, "the pullers stand still"
            time.sleep(0.01)
        return found


def statuses_around(
    service: Service, node: UUID, take_away: Callable[[], None]
) -> tuple[set[int], set[int]]:
    """Of pulls before, and of those that began after ``take_away`` was acknowledged."""
    pullers = Pullers(service, node)
    with ThreadPoolExecutor(PULLERS) as threads:
        running = [threads.submit(pullers.run, number) for number in range(PULLERS)]
        try:
            before = pullers.wait(0)
            take_away()
            replayed = service.spicedb.replayed
            after = pullers.wait(time.monotonic())
        finally:
            pullers.stop.set()
        assert [future.exception() for future in running] == [None] * PULLERS
    assert service.spicedb.replayed > replayed, "no older revision was shown"
    return set(before), set(after)


def test_without_the_nodes_zedtoken_an_older_revision_lets_a_revoked_node_in(
    service: Service,
) -> None:
    """The danger is real here: what the other tests show is the token's doing."""
    node = service.stack.sample.node_id(1)
    assert service.pull(node) == 200
    service.change("revoke", f"node:{node}", "node-agent", f"node:{node}")
    sql = "UPDATE plexsphere.nodes SET authz_token = NULL WHERE id = %s"
    run_sql(service.stack.dsn, sql, (str(node),))
    assert service.pull(node) == 200


def test_a_node_that_is_kept_gets_no_200_after_its_revocation_was_acknowledged(
    service: Service,
) -> None:
    node = service.stack.sample.node_id(2)
    before, after = statuses_around(
        service,
        node,
        lambda: service.change("revoke", f"node:{node}", "node-agent", f"node:{node}"),
    )
    assert (before, after) == ({200}, {403})


def test_a_deregistered_node_gets_no_200_after_that_was_acknowledged(service: Service) -> None:
    """404 while an older revision still shows the relation: the row is gone."""
    made = service.as_operator(f"/v1/domains/{scratch.domain(service.stack)}/nodes", "RegisterNode")
    assert made.status == 201, made.body
    node = UUID(made.json["node_id"])
    service.tokens[node] = made.json["token"]

    def deregister() -> None:
        assert service.as_operator(f"/v1/nodes/{node}", "DeleteNode", "DELETE").status == 204

    before, after = statuses_around(service, node, deregister)
    assert before == {200}
    assert after <= {403, 404}


def test_a_role_on_a_domain_ends_when_its_revocation_was_acknowledged(service: Service) -> None:
    domain = f"domain:{service.stack.sample.domain_id}"
    service.change("grant", "user:viewer", "domain-view", domain)
    assert service.read_domain("user:viewer") == 200
    service.change("revoke", "user:viewer", "domain-view", domain)
    assert service.read_domain("user:viewer") == 403


def test_a_role_on_the_platform_ends_in_every_domain_when_that_was_acknowledged(
    service: Service,
) -> None:
    service.change("grant", "user:manager", "manage", "platform")
    assert service.read_domain("user:manager") == 200
    service.change("revoke", "user:manager", "manage", "platform")
    assert service.read_domain("user:manager") == 403


def test_somebody_who_is_let_in_to_a_node_is_and_is_not_any_more(service: Service) -> None:
    node, someone = service.stack.sample.node_id(4), "service:stand-in"
    assert service.pull(node, someone) == 403
    service.change("grant", someone, "node-agent", f"node:{node}")
    deadline = time.monotonic() + 30
    # A confirmed no stands for a second.
    while service.pull(node, someone) != 200:
        assert time.monotonic() < deadline
    service.change("revoke", someone, "node-agent", f"node:{node}")
    assert service.pull(node, someone) == 403
    assert service.pull(node) == 200
