"""``plexsphere-state outbox prune``: old rows go, nothing that waits does, and nobody waits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from typer.testing import Result

from composer.identity import PLATFORM, domain_object, node_object
from composer.registry import NewNode
from db.outbox import OutboxRetention, PostgresOutbox
from db.roles import PostgresRoles, RoleChange
from db.statements import statement
from tests.command_runs import run
from tests.factories import DOMAIN, WRITE, key_bytes, registration
from tests.integration.ledger_rows import Hand
from tests.integration.registry_parts import add_domain, forget, registries
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

MONTH = timedelta(days=30)
TUPLES = '[{"operation": "purge", "resource": "node:x"}]'
# What a row is like, and its tuples, whether SpiceDB took it, whether it is parked.
KINDS = {
    "taken": (TUPLES, True, False),
    "eventful": ("[]", True, False),
    "waiting": (TUPLES, False, False),
    "parked": (TUPLES, False, True),
    "closed": (TUPLES, True, True),
}
STAY = {"waiting", "parked"}
INSERT = """
INSERT INTO plexsphere.outbox (type, object, tuples, created_at, drained_at, parked_at)
SELECT %(kind)s, 'node:x', %(tuples)s, now() - %(age)s, CASE WHEN %(taken)s THEN now() END,
    CASE WHEN %(parked)s THEN now() END
"""


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """One row of each kind that is 31 days old, and one that is 29."""
    forget(emptied)
    for days in (31, 29):
        for kind in KINDS:
            a_row(emptied, kind, timedelta(days=days))
    return emptied


@pytest.fixture
def kept(hand: Hand) -> Iterator[OutboxRetention]:
    with closing(OutboxRetention(hand.dsn)) as made:
        yield made


def a_row(hand: Hand, kind: str, age: timedelta) -> None:
    tuples, taken, parked = KINDS[kind]
    arguments = {"kind": kind, "tuples": tuples, "age": age, "taken": taken, "parked": parked}
    with hand.cursor() as used:
        used.execute(INSERT, arguments)


def left(hand: Hand) -> list[str]:
    return [row[0] for row in hand.run("SELECT type FROM plexsphere.outbox ORDER BY seq")]


def pruned(hand: Hand, *arguments: str) -> Result:
    result = run("outbox", "prune", "--older-than", "30d", *arguments, PLEXSPHERE_DSN=hand.dsn)
    assert result.exit_code == 0, result.output
    return result


def as_json(hand: Hand, *arguments: str) -> Any:
    found = json.loads(pruned(hand, "--json", *arguments).stdout)
    del found["kept_since"]
    return found


def test_what_is_old_and_taken_goes_and_all_else_stays(hand: Hand) -> None:
    old = dict.fromkeys(sorted(set(KINDS) - STAY), 1)
    assert as_json(hand, "--yes") == {
        "dry_run": False,
        "old": old,
        "removed": len(old),
        "held_back": len(STAY),
    }
    assert left(hand) == [*(kind for kind in KINDS if kind in STAY), *KINDS]
    assert as_json(hand, "--yes")["removed"] == 0


def test_without_yes_it_only_says_what_would_go(hand: Hand) -> None:
    assert as_json(hand)["dry_run"] is True
    output = pruned(hand).stdout
    assert "3 rows older than that" in output and "add --yes" in output
    assert "2 older rows kept: SpiceDB does not have them yet" in output
    assert left(hand) == [*KINDS, *KINDS]


def test_an_outbox_without_a_row_is_no_fault(hand: Hand) -> None:
    hand.run("DELETE FROM plexsphere.outbox")
    assert as_json(hand, "--yes") == {"dry_run": False, "old": {}, "removed": 0, "held_back": 0}


def test_batches_go_on_where_the_last_one_ended(hand: Hand, kept: OutboxRetention) -> None:
    for _ in range(7):
        a_row(hand, "taken", timedelta(days=40))
        a_row(hand, "waiting", timedelta(days=40))
    assert kept.delete(kept.old(MONTH), batch=2) == 3 + 7
    assert set(left(hand)[len(STAY) + len(KINDS) :]) == {"waiting"}


def test_a_row_that_somebody_holds_stays_and_is_not_waited_for(
    hand: Hand, kept: OutboxRetention
) -> None:
    old = kept.old(MONTH)
    with closing(hand.session()) as other, other.cursor() as held:
        held.execute("SELECT FROM plexsphere.outbox WHERE type = 'taken' FOR UPDATE")
        assert kept.delete(old) == 2
        other.rollback()
    assert kept.delete(old) == 1


def test_no_writer_and_no_drainer_waits_for_a_prune(hand: Hand, kept: OutboxRetention) -> None:
    """One that has deleted its batch and has not committed."""
    add_domain(hand, DOMAIN, "10.42.0.0/16")
    arguments = {"after": 0, "since": kept.old(MONTH).since, "limit": 100}
    with closing(hand.session()) as pruning, pruning.cursor() as used:
        used.execute(statement("outbox_delete_old"), arguments)
        assert len(used.fetchall()) == 3
        everybody_writes(hand.dsn, DOMAIN)
        pruning.rollback()


def everybody_writes(dsn: str, domain: UUID) -> None:
    """A session that waits for a lock raises after 0.2 s."""
    outbox = PostgresOutbox(dsn, 1, 5.0, 0.2)
    with registries(dsn, lock_timeout=0.2) as made, closing(PostgresRoles(dsn)) as grants:
        node = made.nodes.register(
            domain, registration(NewNode(key_bytes(1)), None), WRITE, in_time()
        ).node_id
        made.nodes.rotate_key(node, key_bytes(2), WRITE, in_time())
        for object, relation in ((PLATFORM, "manager"), (domain_object(domain), "viewer")):
            names = (object, relation, "user:ann")
            grants.change(RoleChange(*names, True, "operator:ann@desk", "what"), in_time())
        for object in (node_object(node), domain_object(domain), PLATFORM, "node:x"):
            with outbox.claim(object, in_time()) as claim:
                claim.drained(claim.rows, "token", purged=[], last_changes={})
        made.nodes.deregister(node, WRITE, in_time())
        with outbox.claim_oldest(10, [], in_time()) as claim:
            assert [row.object for row in claim.rows] == [node_object(node)]
    outbox.close()
