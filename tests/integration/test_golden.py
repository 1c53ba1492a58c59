"""The bytes that are kept under `tests/golden`, pulled through the real pool."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest

from db.pool import read_pool
from tests.golden import FOLDER, Golden, goldens
from tests.ledger_tables import load
from tests.pulls import Puller

pytest_plugins = "tests.integration.ledger_fixtures"

GOLDENS = goldens()
BODIES = [(golden, node) for golden in GOLDENS for node in golden.pulled]


@pytest.fixture(scope="module")
def dsn(ledger_dsn: str) -> str:
    """One database that holds every golden ledger."""
    connection = psycopg2.connect(ledger_dsn)
    with connection, connection.cursor() as cursor:
        for golden in GOLDENS:
            load(cursor, golden.tables)
    connection.close()
    return ledger_dsn


@pytest.fixture(scope="module")
def puller(dsn: str) -> Iterator[Puller]:
    pool = read_pool(dsn, 1, 30.0)
    yield Puller(pool)
    pool.close()


@pytest.mark.parametrize(
    ("golden", "node"), BODIES, ids=[f"{golden.name}/{node}" for golden, node in BODIES]
)
def test_the_body_is_the_kept_one(puller: Puller, golden: Golden, node: str) -> None:
    kept = golden.body_file(node).read_bytes()
    # Twice: first as read, then from what the process holds.
    pulled = [puller.pull(golden.pulled[node]).body for _ in range(2)]
    assert pulled == [kept, kept]


def test_every_kept_body_is_compared() -> None:
    compared = {golden.body_file(node) for golden, node in BODIES}
    assert compared == set(FOLDER.glob("**/*.body.json"))
    assert len(compared) > 30


def test_two_pulls_of_one_moment_carry_one_digest(puller: Puller) -> None:
    nodes = [golden.pulled[node] for golden, node in BODIES]
    digests = [[puller.pull(node).digest for node in nodes] for _ in range(2)]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == len(nodes)
