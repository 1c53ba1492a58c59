"""All or nothing, where the ledger's answer is spoilt or cut on its way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, cast

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from composer.deadline import Deadline
from db.connections import ReadSession, Row
from db.pool import Pool, read_pool
from db.statements import Prepared
from tests.integration.full_ledger import (
    FAULT,
    NODE,
    RIGHT,
    UNAVAILABLE,
    outcome_of,
    pulling,
)
from tests.integration.marked_proxy import MarkedProxy
from tests.pulls import Puller

pytest_plugins = ("tests.integration.ledger_fixtures", "tests.integration.full_ledger")


class TamperingPool:
    """Hands on what the real pool read, but for one column of the snapshot."""

    def __init__(self, pool: Pool[ReadSession], column: int, content: str | None) -> None:
        self._pool = pool
        self._column = column
        self._content = content

    def fetch(self, query: Prepared, arguments: Mapping[str, Any], deadline: Deadline) -> list[Row]:
        rows = self._pool.fetch(query, arguments, deadline)
        if query.name != "snapshot_for_node":
            return rows
        row = list(rows[0])
        row[self._column] = self._content
        return [tuple(row)]


COLUMNS = ["peers_revision", "peers", "reachability", "policies", "entries", "bridge"]


@pytest.mark.parametrize("content", ["", "x", "[[]]", "[[1]]", '"', "[null]", "[" * 100_000])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_cannot_be_decoded(full_dsn: str, column: str, content: str) -> None:
    pool = read_pool(full_dsn, 1, 30.0)
    with closing(pool):
        tampering = TamperingPool(pool, COLUMNS.index(column), content)
        refused = Puller(cast(Pool[ReadSession], tampering)).pull(NODE)
    assert outcome_of(refused) == FAULT


@pytest.mark.parametrize("column", ["peers_revision", "peers", "reachability"])
def test_a_column_that_is_missing(full_dsn: str, column: str) -> None:
    pool = read_pool(full_dsn, 1, 30.0)
    with closing(pool):
        tampering = TamperingPool(pool, COLUMNS.index(column), None)
        refused = Puller(cast(Pool[ReadSession], tampering)).pull(NODE)
    assert outcome_of(refused) == FAULT


# Where an answer of Postgres is cut: in each column, and before its first byte.
CUTS = {
    "in the peers": b"10.42.0.4",
    "in the reachability": b"stale",
    "in the policies": b"0190b2c5-0006",
    "in the entries": b"eu-central",
    "in the bridge": b"plant-north",
    "before its last bytes": b"]]]",
    "behind the first row": b"SELECT 1",
}


@pytest.fixture
def proxy(full_dsn: str) -> Iterator[MarkedProxy]:
    address = parse_dsn(full_dsn)
    made = MarkedProxy(address["host"], int(address["port"]))
    yield made
    made.close()


@pytest.fixture
def behind(full_dsn: str, proxy: MarkedProxy) -> Iterator[Puller]:
    """A process whose connections lead through the proxy; it holds no peers yet."""
    with pulling(make_dsn(full_dsn, host="127.0.0.1", port=proxy.port)) as made:
        yield made


@pytest.mark.parametrize("cut", CUTS)
def test_a_connection_cut_in_the_middle_of_an_answer(
    behind: Puller, proxy: MarkedProxy, cut: str
) -> None:
    with proxy.cutting(CUTS[cut]):
        refused = outcome_of(behind.pull(NODE))
    assert (refused, proxy.cuts > 0) == (UNAVAILABLE, True)
    assert behind.pull(NODE).body == RIGHT


def test_what_a_cut_connection_did_not_answer_is_asked_again_whole(
    behind: Puller, proxy: MarkedProxy
) -> None:
    assert behind.pull(NODE).body == RIGHT
    with proxy.cutting(CUTS["in the entries"], times=1):
        again = behind.pull(NODE).body
    assert (again, proxy.cuts) == (RIGHT, 1)


def test_a_connection_that_falls_silent_in_the_middle_of_an_answer(
    behind: Puller, proxy: MarkedProxy
) -> None:
    with proxy.cutting(CUTS["in the entries"], silently=True):
        refused = outcome_of(behind.pull(NODE, seconds=0.5))
    assert (refused, proxy.cuts) == (UNAVAILABLE, 1)
    assert behind.pull(NODE).body == RIGHT


def test_a_byte_of_the_peers_that_changes_on_its_way_is_served_to_nobody(
    behind: Puller, proxy: MarkedProxy
) -> None:
    with proxy.replacing(b"10.42.0.4", b"10.42.0.5"):
        refused = outcome_of(behind.pull(NODE))
    assert (refused, proxy.cuts) == (FAULT, 1)
    assert behind.pull(NODE).body == RIGHT
