"""The checker on a real SpiceDB: the port's suite, the schema's roles, outages, freezes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import Principal, PrincipalKind, RelationChecker, node_object
from server.authz.admin import missing_from, schema_text
from server.authz.checker import SpiceDbChecker
from server.authz.concurrency import ConcurrencyLimit
from server.authz.tuples import MAX_UPDATES, Fence, RelationTuple
from tests.integration.spicedb_parts import (
    KEY,
    PERMITS,
    SpiceDb,
    grant,
    node_principal,
    own_agent,
    soon,
    spicedb_in,
)
from tests.ports.relation_checker import RelationCheckerSuite

pytest_plugins = "tests.integration.spicedb_parts"


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

    def last_token(self, principal: Principal, relation: str, resource: str) -> str | None:
        return self.inner.last_token(principal, relation, self.rename(resource))

    def objects_of(
        self, principal: Principal, relation: str, kind: str, deadline: Deadline
    ) -> frozenset[UUID]:
        found = self.inner.objects_of(principal, relation, kind, deadline)
        return frozenset(UUID(int=id.int ^ self.salt) for id in found)

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
    "manager": {"manage", "domain_edit", "domain_view", "node_view"},
    "editor": {"domain_edit", "domain_view", "node_view"},
    "viewer": {"domain_view", "node_view"},
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
    asked += [(node, name) for name in ("domain-edit", "domain-view", "node-agent", "node-view")]
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
        with pytest.raises(AuthzUnavailable, match="lacks the schema"):
            running.admin.knows_any([uuid4()], soon())
        # Written while clients are waiting, it counts at once.
        running.admin.write_schema(schema_text(), soon())
        stranger = Principal(PrincipalKind.USER, "stranger")
        assert running.checker().check(stranger, "node-agent", agent.subject, soon()) is False


def test_an_emptied_spicedb_knows_none_of_the_nodes_and_a_filled_one_any(spicedb: SpiceDb) -> None:
    known = UUID(own_agent(spicedb).id)
    assert spicedb.admin.knows_any([uuid4(), known, uuid4()], soon()) is True
    assert spicedb.admin.knows_any([uuid4(), uuid4()], soon()) is False
    assert spicedb.admin.knows_any([], soon()) is True


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
    checker = SpiceDbChecker(spicedb.connect(key), ConcurrencyLimit(PERMITS))
    with pytest.raises(AuthzUnavailable, match="UNAUTHENTICATED"):
        checker.check(agent, "node-agent", agent.subject, soon())


def test_more_tuples_than_one_call_takes_are_written_and_deleted(spicedb: SpiceDb) -> None:
    """Both updates of a fence are in one call: the condition of a later call would fail."""
    node = node_object(uuid4())
    tuples = [RelationTuple(node, "agent", f"user:u{number}") for number in range(MAX_UPDATES + 1)]
    doomed = tuples[: MAX_UPDATES - 1]
    last = Principal(PrincipalKind.USER, f"u{len(doomed) - 1}")
    written = spicedb.writer.write(tuples, (), soon(), [Fence(node, None)])
    assert written is not None
    checker = spicedb.checker()
    assert checker.check_at_least(last, "node-agent", node, written, soon()) is True
    deleted = spicedb.writer.write((), doomed, soon(), [Fence(node, 1)])
    assert deleted is not None
    assert checker.check_at_least(last, "node-agent", node, deleted, soon()) is False
    assert spicedb.writer.last_change(node, soon()) == 2
    assert spicedb.writer.touch([], soon()) is None
