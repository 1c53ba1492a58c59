"""The last bodies of each Node in the ledger: what is kept, what goes, and what it never costs."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid4

import pytest

from db.audit_batches import AuditBatchWriter
from db.history import ServedBody
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

A, B, C, D = "aa" * 32, "bb" * 32, "cc" * 32, "dd" * 32


class Served:
    """A Node that is served bodies, by any number of workers; a body says its digest."""

    def __init__(self, dsn: str, hand: Hand) -> None:
        self.hand = hand
        self.domain = hand.domain()
        self.node = hand.node(self.domain)
        self._began = time.monotonic()
        self.writers = [AuditBatchWriter(dsn, "test", time.monotonic) for _ in range(2)]

    def served(
        self, *bodies: tuple[float, str], keep: int = 3, writer: int = 0, node: UUID | None = None
    ) -> None:
        """One batch: how many seconds before this test began, and the digest."""
        batch = tuple(
            ServedBody(self._began - ago, str(node or self.node), digest, 64, digest.encode())
            for ago, digest in bodies
        )
        self.writers[writer].write_bodies(batch, keep, in_time())

    def kept(self, node: UUID | None = None) -> list[str]:
        """The digests, oldest first; each with its own body."""
        found = self.hand.run(
            "SELECT digest, body FROM plexsphere.node_bodies WHERE node_id = %s ORDER BY served_at",
            node or self.node,
        )
        assert all(zlib.decompress(body).decode() == digest for digest, body in found)
        return [digest for digest, _ in found]

    def version(self) -> list[tuple[Any, ...]]:
        return self.hand.run(
            "SELECT xmin::text, ctid::text FROM plexsphere.node_bodies WHERE node_id = %s",
            self.node,
        )


@pytest.fixture
def served(ledger_dsn: str, hand: Hand) -> Iterator[Served]:
    made = Served(ledger_dsn, hand)
    yield made
    for writer in made.writers:
        writer.close()


def test_the_newest_are_kept_and_the_oldest_go(served: Served) -> None:
    for ago, digest in ((500, A), (400, B), (300, C), (200, D)):
        served.served((ago, digest))
    assert served.kept() == [B, C, D]


def test_one_batch_is_bounded_too(served: Served) -> None:
    served.served((500, A), (400, B), (300, C), (200, D), keep=2)
    assert served.kept() == [C, D]


def test_the_same_digest_again_writes_nothing(served: Served) -> None:
    served.served((500, A))
    before = served.version()
    served.served((400, A))
    served.served((300, A), writer=1)
    assert (served.version(), len(before)) == (before, 1)


def test_a_digest_that_comes_back_is_the_newest_and_outlives_what_came_between(
    served: Served,
) -> None:
    served.served((500, A))
    served.served((400, B), writer=1)
    served.served((300, A))
    served.served((200, C), keep=2)
    assert served.kept() == [A, C]


def test_a_batch_that_comes_late_takes_its_place_by_time(served: Served) -> None:
    served.served((300, B))
    served.served((500, A), writer=1)
    assert served.kept() == [A, B]
    served.served((600, C), writer=1, keep=2)
    assert served.kept() == [A, B]


def test_a_smaller_number_is_met_with_the_next_body(served: Served) -> None:
    served.served((500, A), (400, B), (300, C))
    served.served((200, D), keep=1)
    assert served.kept() == [D]


def test_the_bodies_of_another_node_do_not_count(served: Served) -> None:
    other = served.hand.node(served.domain, 2)
    served.served((500, A), keep=1)
    served.served((400, B), keep=1, node=other)
    assert (served.kept(), served.kept(other)) == ([A], [B])


def test_a_node_that_is_gone_takes_its_bodies_along_and_gets_no_more(served: Served) -> None:
    served.served((500, A))
    served.hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", served.node)
    served.served((400, B))
    served.served((400, B), node=uuid4())
    assert served.kept() == []


def test_a_node_that_is_being_deleted_is_not_waited_for(served: Served, ledger_dsn: str) -> None:
    other = served.hand.node(served.domain, 2)
    with closing(Hand(ledger_dsn)) as deleting:
        deleting.run("BEGIN")
        deleting.run("DELETE FROM plexsphere.nodes WHERE id = %s", served.node)
        served.served((500, A))
        served.served((500, A), node=other)
        deleting.run("ROLLBACK")
    assert (served.kept(), served.kept(other)) == ([], [A])
