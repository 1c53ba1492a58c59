"""The memory of a ledger between views: tables, by Domain and revision, and never a wrong one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from uuid import UUID

import pytest

from composer.errors import NodeNotFound
from composer.peers import PeerRow
from db.ledger import PostgresLedger
from db.nodes import PostgresNodeRepo
from tests.integration.ledger_places import Home
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"


def test_a_current_table_is_handed_out_again(home: Home) -> None:
    first = home.view().peers()
    home.set(1, last_heartbeat_at="now")
    assert home.view().peers() is first


def test_a_table_is_shared_by_the_nodes_of_a_domain(home: Home) -> None:
    first = home.view().peers()
    assert home.ledger.view(home.nodes[1], home.domain, in_time()).peers() is first


def test_a_new_revision_keeps_the_rows_that_did_not_change(home: Home) -> None:
    before = {row.node_id: row for row in home.view().peers().rows}
    home.set(1, public_key=b"new")
    after = {row.node_id: row for row in home.view().peers().rows}
    assert [after[node] is before[node] for node in home.nodes] == [True, False, True]


def test_a_deregistered_peer_is_gone_at_once(home: Home) -> None:
    home.view()
    home.hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", home.nodes[2])
    assert {row.node_id for row in home.view().peers().rows} == set(home.nodes[:2])


def test_a_node_that_moved_is_not_in_its_old_domain(home: Home) -> None:
    home.view()
    new_home = home.hand.domain()
    home.set(0, domain_id=new_home)
    with pytest.raises(NodeNotFound):
        home.view()
    rows = home.ledger.view(home.nodes[0], new_home, in_time()).peers().rows
    assert [row.node_id for row in rows] == [home.nodes[0]]


def test_more_domains_than_may_be_held_are_shown_right(home: Home) -> None:
    small = PostgresLedger(home.pool, cached_rows=4)
    domains = [home.hand.domain() for _ in range(3)]
    nodes = {domain: [home.hand.node(domain, n) for n in range(3)] for domain in domains}
    for _ in range(2):
        for domain in domains:
            rows = small.view(nodes[domain][0], domain, in_time()).peers().rows
            assert {row.node_id for row in rows} == set(nodes[domain])


def test_a_domain_larger_than_may_be_held_is_held_while_it_is_the_last(home: Home) -> None:
    small = PostgresLedger(home.pool, cached_rows=1)
    first = small.view(home.nodes[0], home.domain, in_time()).peers()
    assert small.view(home.nodes[0], home.domain, in_time()).peers() is first


def test_a_revision_never_names_two_sets_of_rows(home: Home) -> None:
    """Many readers, a writer that does not stop before they have seen enough: a revision always
    shows the same."""
    done = threading.Event()
    known: set[UUID] = set()

    def write() -> None:
        with closing(Hand(home.hand.dsn)) as hand:
            for number in count():
                if number >= 150 and len(known) > 10:
                    break
                hand.run(
                    "UPDATE plexsphere.nodes SET public_key = %s WHERE id = ANY (%s::uuid[])",
                    number.to_bytes(32, "big"),
                    [str(node) for node in home.nodes],
                )
        done.set()

    def read() -> dict[UUID, set[tuple[PeerRow, ...]]]:
        seen: dict[UUID, set[tuple[PeerRow, ...]]] = {}
        while not done.is_set():
            table = home.view().peers()
            known.add(table.revision)
            seen.setdefault(table.revision, set()).add(table.rows)
        return seen

    with ThreadPoolExecutor(5) as threads:
        readers = [threads.submit(read) for _ in range(4)]
        threads.submit(write).result()
        merged: dict[UUID, set[tuple[PeerRow, ...]]] = {}
        for reader in readers:
            for revision, tables in reader.result().items():
                merged.setdefault(revision, set()).update(tables)
    assert [len(tables) for tables in merged.values()] == [1] * len(merged)
    # One statement wrote all keys, so no table mixes two of its runs.
    mixed = [rows for (rows,) in merged.values() if len({row.public_key for row in rows}) > 1]
    assert len(mixed) <= 1  # the keys the Nodes came with


def test_a_node_is_looked_up_by_the_statement_of_its_snapshot(home: Home) -> None:
    """Once its Domain's peers are held, and what it read is what the snapshot is made of."""
    repo = PostgresNodeRepo(home.pool, home.ledger)
    assert repo.get_for_snapshot(home.nodes[0], in_time()).moment is None
    shown = home.view()
    node = repo.get_for_snapshot(home.nodes[0], in_time())
    assert node == repo.get_by_id(home.nodes[0], in_time())
    home.hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", home.nodes[2])
    assert home.ledger.view_of(node.moment).peers() is shown.peers()
    later = repo.get_for_snapshot(home.nodes[0], in_time())
    assert len(home.ledger.view_of(later.moment).peers().rows) == 2


def test_the_first_pull_of_a_node_is_expected_in_the_domain_that_was_pulled_last(
    home: Home,
) -> None:
    """In one statement where it is there, and never in the wrong Domain."""
    elsewhere = home.hand.domain()
    first, second = (home.hand.node(elsewhere, number) for number in (1, 2))
    home.view()
    home.ledger.view(first, elsewhere, in_time())
    for node, domain in ((second, elsewhere), (home.nodes[1], home.domain)):
        moment = home.ledger.addressed(node, in_time())
        assert moment is not None and moment.table is not None
        assert (moment.domain_id, moment.table.domain_id) == (domain, domain)


def test_a_node_that_moved_is_looked_up_where_it_is(home: Home) -> None:
    repo = PostgresNodeRepo(home.pool, home.ledger)
    home.view()
    new_home = home.hand.domain()
    home.set(0, domain_id=new_home)
    node = repo.get_for_snapshot(home.nodes[0], in_time())
    assert (node.domain_id, node.moment) == (new_home, None)


def test_a_node_that_is_gone_is_not_found_by_the_statement_of_its_snapshot(home: Home) -> None:
    repo = PostgresNodeRepo(home.pool, home.ledger)
    home.view()
    home.hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", home.nodes[0])
    with pytest.raises(NodeNotFound):
        repo.get_for_snapshot(home.nodes[0], in_time())


def test_a_changed_domain_is_prepared_once_for_all_who_wait(home: Home) -> None:
    prepared: list[UUID] = []
    ledger = PostgresLedger(
        home.pool, cached_rows=9, prepare=lambda table: prepared.append(table.revision)
    )
    for number in range(5):
        home.set(1, public_key=number.to_bytes(32, "big"))
        with ThreadPoolExecutor(8) as threads:
            views = [
                threads.submit(ledger.view, home.nodes[0], home.domain, in_time()) for _ in range(8)
            ]
            tables = {view.result().peers() for view in views}
        assert len(tables) == 1
    assert len(prepared) == len(set(prepared)) == 5
