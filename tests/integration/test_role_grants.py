"""Roles on real Postgres: what a change leaves on record, the last of its kind, who has one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from uuid import UUID, uuid4

import pytest

from composer.errors import ComposerError, DomainNotFound, NodeNotFound
from composer.identity import PLATFORM, domain_object, node_object
from db.roles import LastOfItsRole, PostgresRoles, RoleChange
from db.tuples import LedgerTuple, TupleLedger
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import forget
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

OPERATOR = "operator:ann@desk"


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    forget(emptied)
    return emptied


@pytest.fixture
def grants(hand: Hand) -> Iterator[PostgresRoles]:
    with closing(PostgresRoles(hand.dsn)) as made:
        yield made


def role(object: str, relation: str, subject: str = "user:bob", granted: bool = True) -> RoleChange:
    return RoleChange(object, relation, subject, granted, OPERATOR, f"{object} {subject}")


def managers(hand: Hand) -> set[str]:
    rows = hand.run("SELECT subject FROM plexsphere.role_grants WHERE object = %s", PLATFORM)
    return {row[0] for row in rows}


def on_record(hand: Hand) -> list[tuple[UUID | None, str, str, str, str]]:
    """Domain, relation, outcome, subject, object, in the order in which they were written."""
    rows = hand.run(
        "SELECT domain_id::text, relation, outcome, subject, object"
        " FROM plexsphere.audit_rows ORDER BY seq"
    )
    return [(row[0] and UUID(row[0]), *row[1:]) for row in rows]


def test_a_change_is_on_record_with_who_made_it_and_a_repeated_one_as_such(
    hand: Hand, grants: PostgresRoles
) -> None:
    domain = hand.domain()
    object_ = domain_object(domain)
    changes = [(True, True), (True, False), (False, True), (False, False)]
    for granted, is_change in changes:
        assert grants.change(role(object_, "viewer", granted=granted), in_time()) is is_change
    words = ("role.grant", "role.grant_again", "role.revoke", "role.revoke_again")
    expected = [(domain, word, "granted", OPERATOR, f"{object_} user:bob") for word in words]
    assert on_record(hand) == expected


def test_a_role_on_a_node_is_on_its_domains_record_and_the_platforms_on_nobodys(
    hand: Hand, grants: PostgresRoles
) -> None:
    domain = hand.domain()
    own = node_object(hand.node(domain))
    for change in (role(own, "agent", own, granted=False), role(PLATFORM, "manager")):
        grants.change(change, in_time())
    assert [row[0] for row in on_record(hand)] == [domain, None]


@pytest.mark.parametrize(
    ("object", "error"),
    [(domain_object(uuid4()), DomainNotFound), (node_object(uuid4()), NodeNotFound)],
    ids=["domain", "node"],
)
def test_nothing_is_written_about_what_is_not_there(
    hand: Hand, grants: PostgresRoles, object: str, error: type[ComposerError]
) -> None:
    with pytest.raises(error):
        grants.change(role(object, "viewer"), in_time())
    assert on_record(hand) == hand.run("SELECT seq FROM plexsphere.outbox") == []
    assert hand.run("SELECT object FROM plexsphere.role_grants") == []


def test_the_last_one_stays_where_one_is_to_stay(hand: Hand, grants: PostgresRoles) -> None:
    for subject in ("user:ann", "user:bob"):
        grants.change(role(PLATFORM, "manager", subject), in_time())
    taken = [
        role(PLATFORM, "manager", subject, granted=False) for subject in ("user:ann", "user:bob")
    ]
    assert grants.change(taken[0], in_time(), keep_last=True)
    before = on_record(hand), hand.run("SELECT seq FROM plexsphere.outbox")
    with pytest.raises(LastOfItsRole):
        grants.change(taken[1], in_time(), keep_last=True)
    assert (on_record(hand), hand.run("SELECT seq FROM plexsphere.outbox")) == before
    # Whoever has no such role takes none away.
    assert not grants.change(taken[0], in_time(), keep_last=True)
    assert managers(hand) == {"user:bob"}
    assert grants.change(taken[1], in_time())


def test_of_all_who_are_revoked_at_once_one_stays(hand: Hand, grants: PostgresRoles) -> None:
    everybody = {f"user:m{number}" for number in range(6)}
    for subject in everybody:
        grants.change(role(PLATFORM, "manager", subject), in_time())
    together = threading.Barrier(len(everybody))

    def revoke(subject: str) -> bool:
        with closing(PostgresRoles(hand.dsn)) as mine:
            together.wait(10)
            try:
                wanted = role(PLATFORM, "manager", subject, granted=False)
                return mine.change(wanted, in_time(), keep_last=True)
            except LastOfItsRole:
                return False

    with ThreadPoolExecutor(len(everybody)) as threads:
        revoked = list(threads.map(revoke, everybody))
    assert (sum(revoked), len(managers(hand))) == (len(everybody) - 1, 1)


def test_a_nodes_own_agent_is_among_its_roles_until_it_is_withheld(
    hand: Hand, grants: PostgresRoles
) -> None:
    own = node_object(hand.node(hand.domain()))
    grants.change(role(own, "agent", "user:zoe"), in_time())
    assert [row[:2] for row in grants.on(own, in_time())] == [("agent", own), ("agent", "user:zoe")]
    grants.change(role(own, "agent", own, granted=False), in_time())
    assert [row[:2] for row in grants.on(own, in_time())] == [("agent", "user:zoe")]
    assert grants.on(PLATFORM, in_time()) == []


def test_a_repair_is_on_record_a_row_for_each_relationship(hand: Hand) -> None:
    domain = hand.domain()
    node, gone = hand.node(domain), hand.node(domain)
    hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", gone)
    names = [node_object(node), node_object(gone), domain_object(domain), "node:odd", PLATFORM]
    tuples = [LedgerTuple(name, "agent", name) for name in names]
    with closing(TupleLedger(hand.dsn)) as ledger:
        ledger.repair(tuples, [f"{name}, said" for name in names], OPERATOR)
    homes = [domain, domain, domain, None, None]
    words = ["relationship.restore", *["relationship.remove"] * 4]
    expected = [
        (home, word, "granted", OPERATOR, f"{name}, said")
        for home, word, name in zip(homes, words, names, strict=True)
    ]
    assert on_record(hand) == expected
    assert len(hand.run("SELECT seq FROM plexsphere.outbox")) == len(names)
