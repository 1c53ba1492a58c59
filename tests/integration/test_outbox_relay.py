"""The relay on real Postgres and SpiceDB: the port's suite, tokens, order, poison, outages."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg2
import pytest

from composer.errors import AuthzUnavailable
from composer.identity import PLATFORM, domain_object, node_object
from tests.fakes import Triple
from tests.integration.outbox_parts import following
from tests.integration.spicedb_parts import SpiceDb, soon
from tests.ledger_sql import run_sql
from tests.node_fakes import TupleUpdate
from tests.outboxes import (
    delete,
    new_domain,
    new_node,
    own_tuple,
    purge,
    token_of,
    touch,
    tuples_of,
    waiting,
    write_raw,
)
from tests.ports.outbox_relay import OutboxRelaySuite

if TYPE_CHECKING:
    from tests.integration.outbox_parts import Following

pytest_plugins = (
    "tests.integration.ledger_fixtures",
    "tests.integration.spicedb_parts",
    "tests.integration.outbox_parts",
)

EDITOR = "user:ed"


class RowsInPostgres:
    def __init__(self, both: Following) -> None:
        self._both = both
        self.relay = both.relay

    def write(self, object: str, *updates: TupleUpdate) -> None:
        self._both.write(object, *updates)

    def taken(self) -> set[Triple]:
        return self._both.taken()

    def spicedb_goes_away(self) -> None:
        self._both.spicedb.freeze()

    def spicedb_comes_back(self) -> None:
        self._both.spicedb.thaw()


class TestSpiceDbOutboxRelay(OutboxRelaySuite):
    @pytest.fixture
    def facts(self, drained: Following) -> RowsInPostgres:
        return RowsInPostgres(drained)


def registered(both: Following, domain: UUID) -> UUID:
    node = new_node(both.dsn, domain)
    both.write(node_object(node), *tuples_of(both.dsn, node, domain))
    return node


def test_a_relay_drains_what_was_left_and_says_how_much(drained: Following) -> None:
    domain = new_domain(drained.dsn)
    nodes = [registered(drained, domain) for _ in range(5)]
    assert drained.drain(limit=2) == 5
    assert {own_tuple(node) for node in nodes} <= drained.taken()
    assert (waiting(drained.dsn), drained.drain()) == ([], 0)


def test_the_token_of_a_nodes_tuples_is_on_the_node_and_on_no_other_row(drained: Following) -> None:
    domain = new_domain(drained.dsn)
    node, other = registered(drained, domain), new_node(drained.dsn, domain)
    drained.relay.deliver(node_object(node), soon())
    first = token_of(drained.dsn, "nodes", node)
    assert first
    drained.write(node_object(node), *delete(own_tuple(node)))
    drained.drain()
    assert token_of(drained.dsn, "nodes", node) not in (None, first)
    assert token_of(drained.dsn, "nodes", other) is None
    assert token_of(drained.dsn, "domains", domain) is None


def test_the_token_of_a_domains_role_is_on_that_domain_alone(drained: Following) -> None:
    domain, other = new_domain(drained.dsn), new_domain(drained.dsn)
    drained.write(domain_object(domain), *touch((domain_object(domain), "editor", EDITOR)))
    drained.relay.deliver(domain_object(domain), soon())
    assert token_of(drained.dsn, "domains", domain)
    assert token_of(drained.dsn, "domains", other) is None


@pytest.mark.parametrize("way", ["deliver", "drain"])
def test_the_token_of_a_platform_role_is_on_every_domain(drained: Following, way: str) -> None:
    domains = [new_domain(drained.dsn) for _ in range(3)]
    drained.write(PLATFORM, *touch((PLATFORM, "manager", EDITOR)))
    if way == "deliver":
        drained.relay.deliver(PLATFORM, soon())
    else:
        drained.drain()
    tokens = {token_of(drained.dsn, "domains", domain_id) for domain_id in domains}
    assert len(tokens) == 1 and None not in tokens


def test_neither_token_moves_the_domains_revision(drained: Following) -> None:
    """It decides whether peers are read again."""
    domain = new_domain(drained.dsn)
    registered(drained, domain)
    drained.write(PLATFORM, *touch((PLATFORM, "manager", EDITOR)))
    sql = "SELECT peers_revision FROM plexsphere.domains"
    before = run_sql(drained.dsn, sql)
    assert drained.drain() == 2
    assert run_sql(drained.dsn, sql) == before


def test_several_relays_share_the_rows_and_none_drains_one_twice(
    drained: Following, spicedb: SpiceDb
) -> None:
    """Each row counts for one relay only, and ends as its object's last word says."""
    domain = new_domain(drained.dsn)
    nodes = [new_node(drained.dsn, domain) for _ in range(24)]
    for number, node in enumerate(nodes):
        drained.write(node_object(node), *touch(own_tuple(node)))
        drained.write(node_object(node), *delete(own_tuple(node)))
        if number % 2:
            drained.write(node_object(node), *touch(own_tuple(node)))
    with ExitStack() as stack:
        relays = [stack.enter_context(following(drained.dsn, spicedb, 5.0)) for _ in range(4)]
        start = threading.Barrier(len(relays))

        def run(following: Following) -> int:
            start.wait(10)
            return following.drain(limit=3)

        with ThreadPoolExecutor(len(relays)) as threads:
            done = list(threads.map(run, relays))
    done.append(drained.drain())
    assert sum(done) == 24 * 2 + 12
    assert drained.taken() == {own_tuple(node) for node in nodes[1::2]}


def test_writers_and_relays_at_once_end_as_the_last_row_of_each_object_says(
    drained: Following, spicedb: SpiceDb
) -> None:
    """Touch, delete, touch, ... committed and settled one by one, under relays that drain too."""
    domain = new_domain(drained.dsn)
    nodes = [new_node(drained.dsn, domain) for _ in range(6)]
    stop = threading.Event()

    def relaying(following: Following) -> int:
        total = 0
        while not stop.is_set():
            total += following.relay.drain(3, soon())
        return total

    def flapping(node: UUID) -> None:
        mine = own_tuple(node)
        for round in range(15):
            drained.write(node_object(node), *(delete(mine) if round % 2 else touch(mine)))
            drained.relay.deliver(node_object(node), soon())

    with ExitStack() as stack:
        relays = [stack.enter_context(following(drained.dsn, spicedb, 5.0)) for _ in range(2)]
        with ThreadPoolExecutor(8) as threads:
            draining = [threads.submit(relaying, relay) for relay in relays]
            try:
                list(threads.map(flapping, nodes))
            finally:
                stop.set()
            assert [future.exception() for future in draining] == [None, None]
    assert drained.taken() == {own_tuple(node) for node in nodes}


def test_an_object_in_another_drainers_hand_is_passed_over_and_the_rest_is_not(
    drained: Following,
) -> None:
    held, free = uuid4(), uuid4()
    seq = drained.write(node_object(held), *touch(own_tuple(held)))
    drained.write(node_object(held), *delete(own_tuple(held)))
    drained.write(node_object(free), *touch(own_tuple(free)))
    with closing(psycopg2.connect(drained.dsn)) as other, other.cursor() as used:
        used.execute("SELECT FROM plexsphere.outbox WHERE seq = %s FOR UPDATE", (seq,))
        assert drained.drain() == 1
        assert drained.taken() == {own_tuple(free)}
        with pytest.raises(AuthzUnavailable, match="another drainer"):
            drained.relay.deliver(node_object(held), soon())
        other.rollback()  # a server learns of a closed connection a moment later
    assert drained.drain() == 2


POISON = [
    [{"operation": "touch", "resource": "node:a b", "relation": "agent", "subject": "user:x"}],
    [{"operation": "touch", "resource": "node:a", "relation": "domain", "subject": "user:x"}],
    [{"operation": "purge", "resource": "node:"}],
    [{"operation": "burn", "resource": "node:a"}],
    [{"operation": "touch", "resource": "node:a"}],
    ["touch"],
]


@pytest.mark.parametrize("poison", POISON, ids=str)
def test_a_row_that_spicedb_never_takes_is_parked_loudly_and_blocks_nobody(
    drained: Following, poison: object
) -> None:
    sick, sound = uuid4(), uuid4()
    seq = write_raw(drained.dsn, node_object(sick), poison)
    drained.write(node_object(sick), *touch(own_tuple(sick)))
    drained.write(node_object(sound), *touch(own_tuple(sound)))
    assert drained.drain() == 2
    assert drained.taken() == {own_tuple(sick), own_tuple(sound)}
    assert [row.seq for row, because in drained.parked if because] == [seq]
    lag = drained.outbox.lag(soon())
    assert (lag.waiting, lag.parked) == (0, 1)
    # Who answers for the object is not told that all is well.
    with pytest.raises(AuthzUnavailable, match="parked"):
        drained.relay.deliver(node_object(sick), soon())
    drained.relay.deliver(node_object(sound), soon())


def test_a_request_that_settles_a_poisoned_row_is_told_and_the_row_is_parked(
    drained: Following,
) -> None:
    sick = node_object(uuid4())
    write_raw(drained.dsn, sick, POISON[0])
    for _ in range(2):
        with pytest.raises(AuthzUnavailable, match="parked"):
            drained.relay.deliver(sick, soon())
    assert len(drained.parked) == 1


def test_an_object_that_is_gone_has_no_parked_rows_any_more(drained: Following) -> None:
    sick = node_object(uuid4())
    write_raw(drained.dsn, sick, POISON[0])
    drained.drain()
    drained.write(sick, purge(sick))
    drained.drain()
    drained.relay.deliver(sick, soon())
    assert drained.outbox.lag(soon()).parked == 0


def test_a_poisoned_row_of_an_object_that_is_deleted_keeps_no_tuple_of_it(
    drained: Following,
) -> None:
    node = uuid4()
    object = node_object(node)
    drained.write(object, *touch(own_tuple(node)))
    write_raw(drained.dsn, object, POISON[0])
    drained.write(object, purge(object))
    drained.drain()
    assert drained.taken() == set()


def test_what_the_schema_does_not_know_yet_waits_and_blocks_only_its_own_object(
    drained: Following,
) -> None:
    """A release that is rolled out writes a relation before the schema has it."""
    early, sound = uuid4(), uuid4()
    seq = drained.write(node_object(early), *touch((node_object(early), "operator", EDITOR)))
    behind = drained.write(node_object(early), *touch(own_tuple(early)))
    drained.write(node_object(sound), *touch(own_tuple(sound)))
    assert drained.drain() == 1
    assert drained.taken() == {own_tuple(sound)}
    assert waiting(drained.dsn) == [seq, behind]
    assert drained.parked == []
    with pytest.raises(AuthzUnavailable, match="FAILED_PRECONDITION"):
        drained.relay.deliver(node_object(early), soon())


def test_lag_is_the_age_of_the_oldest_waiting_row(drained: Following) -> None:
    assert drained.outbox.lag(soon()).waiting == 0
    seq = drained.write(node_object(uuid4()), *touch(own_tuple(uuid4())))
    drained.write(PLATFORM, *touch((PLATFORM, "manager", EDITOR)))
    run_sql(
        drained.dsn,
        "UPDATE plexsphere.outbox SET created_at = created_at - interval '1 hour' WHERE seq = %s",
        (seq,),
    )
    lag = drained.outbox.lag(soon())
    assert lag.waiting == 2
    assert 3600 <= lag.seconds < 3700
