"""One row a Node: the digest it was last granted, when, and since when without another between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from db.audit_batches import AuditBatchWriter, QueuedRow
from tests.integration.ledger_audit import Watched, batch_of, own_pull
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

A, B, C = "aa" * 32, "bb" * 32, "cc" * 32
Grant = tuple[float, str]


class Pulls:
    """A Node that is granted digests, by any number of workers."""

    def __init__(self, dsn: str, hand: Hand) -> None:
        self._dsn = dsn
        self._hand = hand
        self.domain = hand.domain()
        self.node = hand.node(self.domain)
        self._began = time.monotonic()
        self.writers = [AuditBatchWriter(dsn, "test", time.monotonic) for _ in range(2)]

    def granted(
        self, *grants: Grant, writer: int = 0, node: UUID | None = None, **fields: Any
    ) -> None:
        """One batch of grants: how many seconds before this test began, and the digest."""
        rows = [
            QueuedRow(self._began - ago, own_pull(node or self.node, digest, **fields))
            for ago, digest in grants
        ]
        self.writers[writer].write(batch_of(rows), in_time())

    def known(self, node: UUID | None = None) -> tuple[str, int, int] | None:
        """The digest, and how long ago (seconds) it was granted last and first."""
        found = self._hand.run(
            "SELECT digest, round(extract(epoch FROM clock_timestamp() - granted_at), -1)::int,"
            " round(extract(epoch FROM clock_timestamp() - since), -1)::int"
            " FROM plexsphere.node_pulls WHERE node_id = %s",
            node or self.node,
        )
        return found[0] if found else None


@pytest.fixture
def pulls(ledger_dsn: str, hand: Hand) -> Iterator[Pulls]:
    made = Pulls(ledger_dsn, hand)
    yield made
    for writer in made.writers:
        writer.close()


def test_the_first_grant_is_the_first_and_the_last(pulls: Pulls) -> None:
    pulls.granted((600, A))
    assert pulls.known() == (A, 600, 600)


def test_the_same_digest_again_keeps_its_beginning(pulls: Pulls) -> None:
    pulls.granted((600, A))
    pulls.granted((500, A), (400, A))
    assert pulls.known() == (A, 400, 600)


def test_another_digest_begins_anew(pulls: Pulls) -> None:
    pulls.granted((600, A))
    pulls.granted((500, B))
    pulls.granted((400, B))
    assert pulls.known() == (B, 400, 500)


def test_a_digest_that_comes_back_begins_anew(pulls: Pulls) -> None:
    pulls.granted((600, A))
    pulls.granted((500, B), (400, A), (300, A))
    assert pulls.known() == (A, 300, 400)


def test_a_batch_that_comes_late_changes_nothing_newer(pulls: Pulls) -> None:
    """Another worker's rows lay in a queue: what a Node was granted last is a matter of time."""
    pulls.granted((300, B))
    pulls.granted((500, A), writer=1)
    assert pulls.known() == (B, 300, 300)


def test_a_batch_that_comes_late_may_show_an_earlier_beginning(pulls: Pulls) -> None:
    pulls.granted((300, A))
    pulls.granted((500, A), writer=1)
    assert pulls.known() == (A, 300, 500)


def test_a_batch_that_comes_late_may_break_a_run(pulls: Pulls) -> None:
    pulls.granted((600, A))
    pulls.granted((300, A))
    pulls.granted((500, B), writer=1)
    assert pulls.known() == (A, 300, 300)


def test_a_batch_sent_again_changes_nothing(pulls: Pulls) -> None:
    batch = batch_of([QueuedRow(time.monotonic() - 600, own_pull(pulls.node, A))])
    pulls.writers[0].write(batch, in_time())
    pulls.granted((300, B), writer=1)
    pulls.writers[0].write(batch, in_time())
    assert pulls.known() == (B, 300, 300)


@pytest.mark.parametrize(
    "fields",
    [
        {"outcome": "insufficient_relation", "digest": None},
        {"relation": "node_snapshot.view"},
        {"relation": "node_reachability.read"},
        {"digest": None},
        {"subject": "user:ann"},
        {"subject": f"node:{UUID(int=7)}"},
    ],
    ids=str,
)
def test_only_a_pull_that_the_nodes_own_agent_was_granted_counts(
    pulls: Pulls, fields: dict[str, Any]
) -> None:
    pulls.granted((300, A))
    pulls.granted((200, B), **fields)
    assert pulls.known() == (A, 300, 300)


def test_a_node_that_is_no_more_or_never_was_leaves_no_row(pulls: Pulls, hand: Hand) -> None:
    gone, unreal = hand.node(pulls.domain, 2), uuid4()
    hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", gone)
    for node in (gone, unreal):
        pulls.granted((300, A), node=node)
    assert (pulls.known(gone), pulls.known(unreal)) == (None, None)


def test_workers_that_write_of_the_same_nodes_never_fail_each_other(
    ledger_dsn: str, hand: Hand
) -> None:
    """Each batch names the Nodes in another order, and every Node is in every batch."""
    domain = hand.domain()
    nodes = [hand.node(domain, number) for number in range(1, 41)]
    sinks = [Watched(ledger_dsn) for _ in range(6)]

    def write(index: int) -> bool:
        for turn in range(10):
            for node in nodes[:: 1 if (index + turn) % 2 else -1]:
                sinks[index].sink.record(own_pull(node, A))
        return sinks[index].sink.flush(30.0)

    with ThreadPoolExecutor(len(sinks)) as threads:
        assert list(threads.map(write, range(len(sinks)))) == [True] * len(sinks)
    for watched in sinks:
        watched.sink.close(5.0)
    assert [watched.failed + watched.lost for watched in sinks] == [[]] * len(sinks)
    known = hand.run("SELECT node_id::text FROM plexsphere.node_pulls WHERE digest = %s", A)
    assert {str(node) for node in nodes} <= {row[0] for row in known}


def test_a_grant_touches_no_revision_and_no_node(pulls: Pulls, hand: Hand) -> None:
    before = hand.revision(pulls.domain)
    version = "SELECT xmin::text FROM plexsphere.nodes WHERE id = %s"
    node = hand.run(version, pulls.node)
    pulls.granted((300, A))
    assert (hand.revision(pulls.domain), hand.run(version, pulls.node)) == (before, node)
