"""The relay compares SpiceDB with the ledger at intervals, and repairs what differs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from composer.identity import domain_object, node_object
from db.connections import ReadSession
from db.health import LastComparison, read_lag
from db.pool import read_pool
from db.tuples import TupleLedger
from server.authz.comparison import TupleComparison
from server.authz.tuples import RelationTuple, TupleReader
from server.workers.comparison import comparison_turn
from tests.integration.spicedb_parts import soon
from tests.ledger_sql import run_sql
from tests.outboxes import new_domain, new_node, own_tuple

if TYPE_CHECKING:
    from db.pool import Pool
    from server.workers.loop import Turn
    from tests.integration.outbox_parts import Following

pytest_plugins = (
    "tests.integration.ledger_fixtures",
    "tests.integration.spicedb_parts",
    "tests.integration.outbox_parts",
)

INTERVAL = 300.0


@pytest.fixture
def turn(drained: Following) -> Iterator[Turn]:
    """Of a ledger that was never compared."""
    run_sql(
        drained.dsn,
        "UPDATE plexsphere.tuple_comparison"
        " SET begun_at = NULL, ended_at = NULL, seconds = 0, differences = 0, mended = 0",
    )
    with closing(TupleLedger(drained.dsn)) as ledger:
        reader = TupleReader(drained.spicedb.channel)
        yield comparison_turn(ledger, TupleComparison(ledger, reader, drained.relay), INTERVAL)


@pytest.fixture
def pool(drained: Following) -> Iterator[Pool[ReadSession]]:
    with closing(read_pool(drained.dsn, 1, 5.0)) as made:
        yield made


def last(pool: Pool[ReadSession]) -> LastComparison:
    return read_lag(pool, soon()).comparison


def passes(drained: Following, seconds: float) -> None:
    sql = "UPDATE plexsphere.tuple_comparison SET begun_at = begun_at - make_interval(secs => %s)"
    run_sql(drained.dsn, sql, (seconds,))


def sound_domain(drained: Following) -> tuple[UUID, UUID]:
    domain = new_domain(drained.dsn)
    node = new_node(drained.dsn, domain)
    return domain, node


def test_what_differs_is_mended_and_counted(
    drained: Following, turn: Turn, pool: Pool[ReadSession]
) -> None:
    """A tuple that nobody granted, and three that SpiceDB lacks."""
    assert last(pool) == LastComparison(None, 0, 0)
    domain, node = sound_domain(drained)
    stray = (domain_object(domain), "editor", "user:stray")
    drained.spicedb.writer.touch([RelationTuple(*stray)], soon())
    turn()
    home = (node_object(node), "domain", domain_object(domain))
    of_domain = (domain_object(domain), "platform", "platform:plexsphere")
    assert drained.taken() == {own_tuple(node), home, of_domain}
    found = last(pool)
    assert (found.differences, found.mended) == (4, 4)
    passes(drained, INTERVAL)
    turn()
    found = last(pool)
    assert (found.differences, found.mended) == (0, 4)


def test_a_comparison_is_made_once_in_an_interval_and_a_long_one_seldom(
    drained: Following, turn: Turn
) -> None:
    turn()
    sound_domain(drained)
    passes(drained, INTERVAL - 30)
    turn()
    assert drained.taken() == set()
    run_sql(drained.dsn, "UPDATE plexsphere.tuple_comparison SET seconds = 60")
    passes(drained, INTERVAL)
    turn()
    assert drained.taken() == set()
    passes(drained, 20 * 60)
    turn()
    assert len(drained.taken()) == 3
