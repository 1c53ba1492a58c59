"""Audit rows know their Domain: that of the Node or the Domain their object names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from db.audit_batches import AuditBatchWriter, QueuedRow
from tests.integration.ledger_audit import batch_of, emptied, row
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"


class Trail:
    """Writes rows about objects, and reads the Domains they were given."""

    def __init__(self, dsn: str, hand: Hand) -> None:
        self._writer = AuditBatchWriter(emptied(dsn), "test", time.monotonic)
        self._hand = hand

    def domains_of(self, *objects: str, outcome: str = "granted") -> list[UUID | None]:
        """One batch of a row an object."""
        rows = [
            QueuedRow(time.monotonic(), row(1, object=object_, outcome=outcome))
            for object_ in objects
        ]
        self._writer.write(batch_of(rows), in_time())
        found = self._hand.run(
            "SELECT domain_id::text FROM plexsphere.audit_rows ORDER BY seq DESC LIMIT %s",
            len(objects),
        )
        return [None if row[0] is None else UUID(row[0]) for row in reversed(found)]

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
def trail(ledger_dsn: str, hand: Hand) -> Iterator[Trail]:
    made = Trail(ledger_dsn, hand)
    yield made
    made.close()


def test_each_row_gets_the_domain_of_its_own_object(trail: Trail, hand: Hand) -> None:
    home, other = hand.domain(), hand.domain()
    first, second = hand.node(home), hand.node(other)
    found = trail.domains_of(f"node:{second}", f"domain:{home}", f"node:{first}", f"node:{second}")
    assert found == [other, home, home, other]


def test_a_refusal_knows_its_domain_too(trail: Trail, hand: Hand) -> None:
    domain = hand.domain()
    node = hand.node(domain)
    found = trail.domains_of(f"node:{node}", f"domain:{domain}", outcome="insufficient_relation")
    assert found == [domain, domain]


def test_what_names_no_node_and_no_domain_has_none(trail: Trail, hand: Hand) -> None:
    domain = hand.domain()
    node = hand.node(domain)
    objects = (
        f"node:{uuid4()}",
        f"domain:{uuid4()}",
        f"node:{domain}",
        f"domain:{node}",
        f"node:{str(node).upper()}",
        "node:",
        "platform:plexsphere",
        "",
    )
    assert trail.domains_of(*objects) == [None] * len(objects)


def test_a_node_that_was_deregistered_keeps_its_domain(trail: Trail, hand: Hand) -> None:
    """Its rows come after it went: a batch waits, and its token still verifies."""
    domain = hand.domain()
    silent, other = hand.node(domain), hand.node(domain, 2)
    hand.run("DELETE FROM plexsphere.nodes WHERE id IN (%s, %s)", silent, other)
    assert trail.domains_of(f"node:{silent}", f"node:{other}") == [domain, domain]


def test_a_domain_that_was_deleted_keeps_its_own_rows(trail: Trail, hand: Hand) -> None:
    domain = hand.domain()
    hand.run("DELETE FROM plexsphere.domains WHERE id = %s", domain)
    assert trail.domains_of(f"domain:{domain}") == [domain]


def test_a_node_that_came_back_elsewhere_has_its_new_domain(trail: Trail, hand: Hand) -> None:
    old, new = hand.domain(), hand.domain()
    node = hand.node(old)
    hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", node)
    hand.node(new, id=node)
    assert trail.domains_of(f"node:{node}") == [new]
    hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", node)
    assert trail.domains_of(f"node:{node}") == [new]
