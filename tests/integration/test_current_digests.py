"""The current digests of a whole Domain are those that pulls of the same moment give."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from psycopg2.extensions import connection

from composer.deadline import Deadline
from composer.errors import ComposerError, DomainNotFound
from db.connections import ReadSession
from db.fleet import FleetMoment, PostgresFleet
from db.pool import Pool
from handlers.current_digests import CurrentDigests
from tests.ledger_tables import Ledger, load
from tests.ledgers import ledgers
from tests.pulls import PoolOfOne, Puller

pytest_plugins = "tests.integration.ledger_fixtures"

PROFILE = settings(
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=int(os.environ.get("DIGEST_EXAMPLES", "25")),
    phases=(Phase.generate, Phase.shrink, Phase.explain),
    suppress_health_check=list(HealthCheck),
)
# What a run has to have met, so that agreement means something.
MET = {
    "200",
    "500",
    "400",
    "no rules",
    "policy",
    "bridge",
    "entries",
    "fallback_endpoint",
    "a row left out",
    "several Nodes",
}


@pytest.fixture
def writable(ledger_dsn: str) -> Iterator[connection]:
    """A connection whose transactions are never committed."""
    opened = psycopg2.connect(ledger_dsn)
    try:
        yield opened
    finally:
        opened.close()


def moment_of(pool: Pool[ReadSession], domain: UUID) -> FleetMoment:
    return PostgresFleet(pool).of_domain(domain, Deadline.after(30.0, time.monotonic))


@pytest.mark.timeout(600)
def test_they_are_the_digests_of_the_pulls(writable: connection) -> None:
    pool = PoolOfOne.over(writable)
    writable.commit()
    met: Counter[str] = Counter()

    @PROFILE
    @given(ledgers())
    def agree(ledger: Ledger) -> None:
        try:
            with writable.cursor() as cursor:
                load(cursor, ledger.tables)
            puller = Puller(pool)
            compare(writable, pool, puller, met)
            with writable.cursor() as cursor:
                for change in ledger.changes:
                    cursor.execute(change.sql, change.values)
            compare(writable, pool, puller, met)
        except Exception:
            note(ledger.shown())
            raise
        finally:
            writable.rollback()

    agree()
    print(dict(met))
    assert met.keys() >= MET, MET - met.keys()


def compare(opened: connection, pool: Pool[ReadSession], puller: Puller, met: Counter[str]) -> None:
    """Every Node of every Domain of the ledger."""
    with opened.cursor() as cursor:
        cursor.execute("SELECT id::text FROM plexsphere.domains")
        domains = [UUID(row[0]) for row in cursor.fetchall()]
        cursor.execute("SELECT count(*) FROM plexsphere.nodes")
        total = (cursor.fetchone() or (0,))[0]
    seen = 0
    for domain in domains:
        moment = moment_of(pool, domain)
        digests = CurrentDigests(moment.peer_table)
        for node in moment.nodes:
            puller.drops.drops.clear()
            answer = puller.pull(str(node.id))
            try:
                found = digests.digest(node.id, node)
            except ComposerError:
                found = ""
            if answer.inside.startswith("Breach"):
                continue  # composed, and withheld by the doorkeeper: nobody can be granted it
            assert found == answer.digest, f"of {node.id}: {answer.inside}"
            met[str(answer.status)] += 1
            body = answer.body
            for feature, mark in (
                ("no rules", b'"rules":[]'),
                ("policy", b'"policy":{'),
                ("bridge", b'"bridge":{'),
                ("entries", b'"key":'),
                ("fallback_endpoint", b',"fallback_endpoint":"'),
            ):
                met[feature] += mark in body
            met["a row left out"] += bool(puller.drops.drops)
        seen += len(moment.nodes)
        met["several Nodes"] += len(moment.nodes) > 2
    assert seen == total


def test_a_domain_that_is_none_is_not_found(writable: connection) -> None:
    with pytest.raises(DomainNotFound):
        moment_of(PoolOfOne.over(writable), UUID(int=7))


def test_a_domain_without_nodes_has_none(writable: connection) -> None:
    with writable.cursor() as cursor:
        cursor.execute("INSERT INTO plexsphere.domains DEFAULT VALUES RETURNING id::text")
        domain = UUID((cursor.fetchone() or ("",))[0])
    assert moment_of(PoolOfOne.over(writable), domain).nodes == []
    writable.rollback()
