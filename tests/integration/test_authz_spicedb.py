"""The checker on a real SpiceDB: the port's suite, the schema's roles, outages, freezes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import Principal, PrincipalKind, node_object
from composer.ports import RelationChecker
from server.authz.admin import SpiceDbAdmin
from server.authz.bulkhead import Bulkhead
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.readiness import SpiceDbReadiness
from server.authz.schema import missing_from, schema_text
from server.authz.spicedb import SpiceDbChecker
from server.authz.writer import MAX_UPDATES, RelationTuple, TupleWriter
from server.dev.commands import Places, relay_command
from server.dev.ports import HOST, answers, free_ports
from server.dev.process import Process, wait_until
from tests.ports.relation_checker import RelationCheckerSuite

KEY = "preshared"
PERMITS = 4


class SpiceDb:
    """An embedded SpiceDB without tuples on a port of its own, and clients of it."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder)
        self.places.spicedb.mkdir(parents=True)
        self.places.spicedb_token.write_text(KEY)
        self.places.tuples.write_text("")
        (self.port,) = free_ports(1)
        self.start()
        self.channel = self.connect()
        self.writer = TupleWriter(self.channel)
        self.admin = SpiceDbAdmin(self.channel)

    def start(self) -> None:
        self.process = Process(relay_command(self.places, f"{HOST}:{self.port}"))
        wait_until(lambda: answers(self.port), self.process, 30, "listening")

    def kill(self) -> None:
        self.process.kill()

    def freeze(self) -> None:
        self.process.signal_family(signal.SIGSTOP)
        # The signal is sent, not yet heeded: on a busy machine a thread may still answer.
        tasks = list(Path(f"/proc/{self.process.pid}/task").iterdir())
        wait_until(lambda: all(map(is_stopped, tasks)), self.process, 10, "frozen")

    def thaw(self) -> None:
        self.process.signal_family(signal.SIGCONT)

    def connect(self, key: str = KEY, timeout: float = 1.0) -> SpiceDbChannel:
        return SpiceDbChannel(SpiceDbEndpoint(f"{HOST}:{self.port}", key, insecure=True), timeout)

    def checker(self, timeout: float = 1.0) -> SpiceDbChecker:
        return SpiceDbChecker(self.connect(timeout=timeout), Bulkhead(PERMITS))


def is_stopped(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


@contextmanager
def spicedb_in(folder: Path) -> Iterator[SpiceDb]:
    running = SpiceDb(folder)
    try:
        yield running
    finally:
        running.channel.close()
        running.kill()


@pytest.fixture(scope="module")
def spicedb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpiceDb]:
    """Shared: tests use Nodes of their own and thaw what they freeze."""
    with spicedb_in(tmp_path_factory.mktemp("spicedb")) as running:
        yield running


def soon(seconds: float = 10.0) -> Deadline:
    return Deadline.after(seconds, time.monotonic)


def node_principal(node: UUID) -> Principal:
    return Principal(PrincipalKind.NODE, str(node))


def grant(spicedb: SpiceDb, subject: str, relation: str, resource: str) -> str:
    token = spicedb.writer.touch([RelationTuple(resource, relation, subject)], soon())
    assert token is not None
    return token


def own_agent(spicedb: SpiceDb) -> Principal:
    """A new Node that is its own agent."""
    node = uuid4()
    grant(spicedb, node_object(node), "agent", node_object(node))
    return node_principal(node)


@dataclass
class Elsewhere:
    """The checker, asked about Nodes that only this test knows.

    SpiceDB's quantized revisions still show for seconds what an earlier test wrote.
    """

    inner: RelationChecker
    salt: int

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        return self.inner.check(principal, relation, self.rename(resource), deadline)

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        return self.inner.check_at_least(
            principal, relation, self.rename(resource), token, deadline
        )

    def check_now(
        self, principal: Principal, relation: str, resource: str, deadline: Deadline
    ) -> bool:
        return self.inner.check_now(principal, relation, self.rename(resource), deadline)

    def rename(self, resource: str) -> str:
        return node_object(UUID(int=UUID(resource.partition(":")[2]).int ^ self.salt))


class TuplesInSpiceDb:
    """Where the suite's tuples live; ``go_away`` is a SpiceDB that accepts and never answers."""

    def __init__(self, spicedb: SpiceDb) -> None:
        self._spicedb = spicedb
        self.checker = Elsewhere(spicedb.checker(timeout=0.5), uuid4().int)

    def grant(self, principal: Principal, node: UUID) -> str:
        return self._done(self._spicedb.writer.touch([self._tuple(principal, node)], soon()))

    def revoke(self, principal: Principal, node: UUID) -> str:
        return self._done(self._spicedb.writer.delete([self._tuple(principal, node)], soon()))

    def go_away(self) -> None:
        self._spicedb.freeze()

    def _tuple(self, principal: Principal, node: UUID) -> RelationTuple:
        return RelationTuple(self.checker.rename(node_object(node)), "agent", principal.subject)

    def _done(self, token: str | None) -> str:
        assert token is not None
        return token


class TestSpiceDbChecker(RelationCheckerSuite):
    @pytest.fixture
    def facts(self, spicedb: SpiceDb) -> Iterator[TuplesInSpiceDb]:
        yield TuplesInSpiceDb(spicedb)
        spicedb.thaw()


def test_the_schema_is_understood_and_read_back_whole(spicedb: SpiceDb) -> None:
    assert spicedb.admin.write_schema(schema_text(), soon())
    assert missing_from(spicedb.admin.read_schema(soon()) or "") == []


ROLES = {
    "manager": {"manage", "domain_edit", "domain_view"},
    "editor": {"domain_edit", "domain_view"},
    "viewer": {"domain_view"},
    "audit_reader": {"auditor"},
    "nobody": set(),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", ["user", "service"])
def test_a_role_may_what_it_may_and_nothing_else(spicedb: SpiceDb, role: str, kind: str) -> None:
    platform, domain = f"platform:{uuid4()}", f"domain:{uuid4()}"
    node = node_object(uuid4())
    someone = Principal(PrincipalKind(kind), str(uuid4()))
    grant(spicedb, platform, "platform", domain)
    grant(spicedb, domain, "domain", node)
    if role != "nobody":
        grant(spicedb, someone.subject, role, platform if role == "manager" else domain)
    checker = spicedb.checker()
    asked = [(platform, "manage")]
    asked += [(domain, name) for name in ("domain-edit", "domain-view", "auditor")]
    asked += [(node, name) for name in ("domain-edit", "domain-view", "node-agent")]
    allowed = {
        (where, name) for where, name in asked if checker.check(someone, name, where, soon())
    }
    assert allowed == {
        (where, name) for where, name in asked if name.replace("-", "_") in ROLES[role]
    }


def test_a_grant_is_seen_at_once_even_after_a_no(spicedb: SpiceDb) -> None:
    """A Node that pulls the moment it is registered is not turned away."""
    checker = spicedb.checker()
    checker.check(own_agent(spicedb), "node-agent", node_object(uuid4()), soon())
    for _ in range(5):
        agent = own_agent(spicedb)
        assert checker.check(agent, "node-agent", agent.subject, soon()) is True


def test_a_relation_that_the_schema_lacks_is_a_fault_and_no_no(spicedb: SpiceDb) -> None:
    agent = own_agent(spicedb)
    with pytest.raises(AuthzUnavailable, match="refuses to decide"):
        spicedb.checker().check(agent, "node-operate", agent.subject, soon())


def test_a_spicedb_without_our_schema_decides_nothing(tmp_path: Path) -> None:
    with spicedb_in(tmp_path) as running:
        running.admin.write_schema("definition user {\n}\n", soon())
        agent = node_principal(uuid4())
        with pytest.raises(AuthzUnavailable, match="refuses to decide"):
            running.checker().check(agent, "node-agent", agent.subject, soon())
        with pytest.raises(AuthzUnavailable, match="lacks the schema"):
            running.admin.ping(soon())
        assert SpiceDbReadiness(running.admin).describe() == (
            False,
            "SpiceDB lacks the schema: FAILED_PRECONDITION",
        )
        # Written while clients are waiting, it counts at once.
        running.admin.write_schema(schema_text(), soon())
        stranger = Principal(PrincipalKind.USER, "stranger")
        assert running.checker().check(stranger, "node-agent", agent.subject, soon()) is False


def test_a_schema_that_would_orphan_tuples_is_refused(spicedb: SpiceDb) -> None:
    own_agent(spicedb)
    with pytest.raises(AuthzUnavailable, match="refuses the schema"):
        spicedb.admin.write_schema("definition user {\n}\n", soon())


@pytest.mark.parametrize("token", ["garbage", "", "GhUKEzE3MzAwMDAwMDAwMDAwMDAwMDA=", "a" * 5000])
def test_a_token_that_spicedb_cannot_place_is_asked_as_now(spicedb: SpiceDb, token: str) -> None:
    agent, checker = own_agent(spicedb), spicedb.checker()
    stranger = node_principal(uuid4())
    ask = checker.check_at_least
    assert ask(agent, "node-agent", agent.subject, token, soon()) is True
    assert ask(stranger, "node-agent", agent.subject, token, soon()) is False


@pytest.mark.parametrize("key", ["wrong", "x", KEY + "x"])
def test_a_wrong_preshared_key_decides_nothing(spicedb: SpiceDb, key: str) -> None:
    agent = own_agent(spicedb)
    checker = SpiceDbChecker(spicedb.connect(key), Bulkhead(PERMITS))
    with pytest.raises(AuthzUnavailable, match="UNAUTHENTICATED"):
        checker.check(agent, "node-agent", agent.subject, soon())


def test_more_tuples_than_one_call_takes_are_written_and_deleted(spicedb: SpiceDb) -> None:
    node = node_object(uuid4())
    tuples = [RelationTuple(node, "agent", f"user:u{number}") for number in range(MAX_UPDATES + 1)]
    last = Principal(PrincipalKind.USER, f"u{MAX_UPDATES}")
    written = spicedb.writer.touch(tuples, soon())
    assert written is not None
    checker = spicedb.checker()
    assert checker.check_at_least(last, "node-agent", node, written, soon()) is True
    deleted = spicedb.writer.delete(tuples, soon())
    assert deleted is not None
    assert checker.check_at_least(last, "node-agent", node, deleted, soon()) is False
    assert spicedb.writer.touch([], soon()) is None


def test_a_killed_spicedb_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    with spicedb_in(tmp_path) as running:
        checker, readiness = running.checker(), SpiceDbReadiness(running.admin, every_s=0)
        agent = own_agent(running)
        assert checker.check(agent, "node-agent", agent.subject, soon()) is True
        running.kill()
        for _ in range(3):
            with pytest.raises(AuthzUnavailable):
                checker.check(agent, "node-agent", agent.subject, soon())
        assert readiness.describe() == (False, "SpiceDB: UNAVAILABLE")
        running.places.tuples.write_text(f"{agent.subject}#agent@{agent.subject}\n")
        running.start()
        assert allowed_within(5, checker, agent)
        assert readiness.describe()[0] is True


def test_a_frozen_spicedb_holds_nobody_beyond_the_timeout_and_few_at_all(spicedb: SpiceDb) -> None:
    """Sixteen threads ask; those without a permit are gone long before those that wait on it."""
    agent, checker = own_agent(spicedb), spicedb.checker(timeout=1.5)
    assert checker.check(agent, "node-agent", agent.subject, soon()) is True
    spicedb.freeze()
    try:
        waits: list[float] = []

        def ask() -> None:
            began = time.monotonic()
            with pytest.raises(AuthzUnavailable):
                checker.check(agent, "node-agent", agent.subject, soon())
            waits.append(time.monotonic() - began)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    finally:
        spicedb.thaw()
    assert len(waits) == 16
    assert sum(wait > 1.2 for wait in waits) == PERMITS
    assert allowed_within(5, checker, agent)


def test_a_budget_that_is_nearly_spent_bounds_the_call(spicedb: SpiceDb) -> None:
    agent, checker = own_agent(spicedb), spicedb.checker(timeout=30)
    spicedb.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(AuthzUnavailable):
            checker.check(agent, "node-agent", agent.subject, soon(0.3))
        assert time.monotonic() - began < 5
    finally:
        spicedb.thaw()


def test_a_channel_inherited_through_a_fork_is_left_to_the_parent(
    spicedb: SpiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    spicedb.admin.ping(soon())
    parents = spicedb.channel._connection
    monkeypatch.setattr(os, "getpid", lambda: -1)
    spicedb.admin.ping(soon())
    assert spicedb.channel._connection is not parents
    spicedb.channel.close()
    monkeypatch.undo()
    spicedb.admin.ping(soon())


def allowed_within(seconds: float, checker: RelationChecker, agent: Principal) -> bool:
    """Whether the outage ends for this checker, which is made no new one."""
    deadline = soon(seconds)
    while deadline.remaining():
        try:
            return checker.check(agent, "node-agent", agent.subject, deadline)
        except AuthzUnavailable:
            time.sleep(0.02)
    return False
