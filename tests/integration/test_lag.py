"""The lag of SpiceDB and of the evaluator, as the ledger tells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from composer.errors import ComposerError
from composer.identity import node_object
from db.connections import ReadSession
from db.health import Lag, read_lag
from db.pool import Pool, read_pool
from db.reachability import PostgresSweeps
from tests.integration.ledger_rows import Hand
from tests.outboxes import NO_LAG, own_tuple, touch, write_row
from tests.ports.deadlines import in_time

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def pool(hand: Hand) -> Iterator[Pool[ReadSession]]:
    for table in ("outbox", "evaluator_watch"):
        hand.run(f"DELETE FROM plexsphere.{table}")
    with closing(read_pool(hand.dsn, 1, 5.0)) as made:
        yield made


def found(pool: Pool[ReadSession]) -> Lag:
    return read_lag(pool, in_time())


def test_where_nothing_waits_and_nobody_ever_swept(pool: Pool[ReadSession]) -> None:
    now = found(pool)
    assert now == replace(NO_LAG, clock_skew=now.clock_skew)
    assert 0 < abs(now.clock_skew) < 60


def test_what_waits_and_what_is_parked_is_counted(pool: Pool[ReadSession], hand: Hand) -> None:
    for age in ("1 hour", "1 minute", "2 hours"):
        node = uuid4()
        seq = write_row(hand.dsn, node_object(node), *touch(own_tuple(node)))
        hand.run(
            "UPDATE plexsphere.outbox SET created_at = now() - %s::interval WHERE seq = %s",
            age,
            seq,
        )
    hand.run("UPDATE plexsphere.outbox SET parked_at = now() WHERE seq = %s", seq)
    now = found(pool)
    assert (now.outbox.waiting, now.outbox.parked) == (2, 1)
    assert 3600 <= now.outbox.seconds < 3700


def test_a_sweep_is_as_long_ago_as_it_is(pool: Pool[ReadSession], hand: Hand) -> None:
    with closing(PostgresSweeps(hand.dsn, 5.0)) as sweeps:
        assert sweeps.sweep(in_time()) is not None
    swept = found(pool).sweep_age
    assert swept is not None and swept < 60
    hand.run("UPDATE plexsphere.evaluator_watch SET swept_at = swept_at - interval '1 hour'")
    later = found(pool).sweep_age
    assert later is not None and 3600 <= later < 3700


def test_a_ledger_without_the_tables_cannot_tell(fresh_database: FreshDatabase) -> None:
    with closing(read_pool(fresh_database(), 1, 5.0)) as pool, pytest.raises(ComposerError):
        found(pool)
