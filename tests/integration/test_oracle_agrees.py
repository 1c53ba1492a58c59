"""The service's bytes against the second implementation's, over generated ledgers.

`make test` looks at the same sixty ledgers in every run, `make fuzz` at the same two
thousand; `ORACLE_PROFILE=long` looks further, and elsewhere each time. A counterexample is shrunk
and printed as the rows that make it up.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from psycopg2.extensions import connection

from tests.ledger_tables import NIL, Change, Ledger, load
from tests.ledgers import ledgers
from tests.oracle import expected_body, expected_drops
from tests.oracle_rows import NoBodyError, NoSuchNodeError
from tests.pulls import Answered, PoolOfOne, Puller

pytest_plugins = "tests.integration.ledger_fixtures"

COMMON = settings(
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink, Phase.explain),
    suppress_health_check=list(HealthCheck),
)
PROFILES = {
    "short": settings(COMMON, max_examples=60, derandomize=True),
    "full": settings(COMMON, max_examples=2_000, derandomize=True),
    "long": settings(COMMON, max_examples=50_000, print_blob=True),
}
PROFILE = PROFILES[os.environ.get("ORACLE_PROFILE", "short")]

PULLED = 4  # Nodes of a ledger, before its changes and after them

# What a run has to have met, so that agreement means something.
MET = {
    "200",
    "404",
    "500",
    "invalid_node_id",
    "invalid_mesh_ip",
    "empty_public_key",
    "malformed_public_key",
    "fallback_endpoint",
    "policy",
    "no rules",
    "1024 rules",
    "bridge",
    "entries",
    "after a change",
}


@pytest.fixture
def writable(ledger_dsn: str) -> Iterator[connection]:
    """A connection whose transactions are never committed."""
    opened = psycopg2.connect(ledger_dsn)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.timeout(600)
def test_the_service_gives_the_bytes_of_the_second_implementation(writable: connection) -> None:
    pool = PoolOfOne.over(writable)
    writable.commit()
    met: Counter[str] = Counter()

    @PROFILE
    @given(ledgers())
    def agrees(ledger: Ledger) -> None:
        met["ledgers"] += 1
        try:
            with writable.cursor() as cursor:
                load(cursor, ledger.tables)
            puller = Puller(pool)
            before = compared(writable, puller, ledger, met)
            if ledger.changes:
                with writable.cursor() as cursor:
                    for change in ledger.changes:
                        cursor.execute(change.sql, change.values)
                after = compared(writable, puller, ledger, met)
                met["after a change"] += len(after)
                check_digests(ledger.changes, before, after)
        except Exception:
            note(ledger.shown())
            raise
        finally:
            writable.rollback()

    agrees()
    print(dict(met))
    assert met.keys() >= MET, MET - met.keys()


def compared(
    opened: connection, puller: Puller, ledger: Ledger, met: Counter[str]
) -> dict[str, Answered]:
    """Pull every Node, each answer held against the oracle's."""
    answers = {}
    for node_id in ledger.telling(PULLED):
        puller.drops.drops.clear()
        answer = puller.pull(node_id)
        try:
            body, status = expected_body(opened, node_id), 200
        except NoSuchNodeError:
            body, status = b"", 404
        except NoBodyError:
            body, status = b"", 400 if node_id == NIL else 500
        # Bodies first, and as text: their difference says more than two statuses.
        assert answer.body.decode() == body.decode(), f"of {node_id}"
        assert answer.status == status
        if status == 200:
            drops = [tuple(map(str, drop)) for drop in puller.drops.drops]
            assert drops == expected_drops(opened, node_id)
            met.update({drop[0] for drop in drops} | features(body))
        answers[node_id] = answer
        met[str(status)] += 1
    return answers


def features(body: bytes) -> set[str]:
    """The features that a body shows, of those that a run must meet."""
    found = {"fallback_endpoint"} if b',"fallback_endpoint":' in body else set()
    value = json.loads(body)
    if value["policy"] is not None:
        rules = len(value["policy"]["rules"])
        found |= {"policy"} | ({"no rules"} if rules == 0 else set())
        found |= {"1024 rules"} if rules >= 1024 else set()
    found |= {"bridge"} if value["bridge"] is not None else set()
    return found | ({"entries"} if any(value["state"].values()) else set())


def check_digests(
    changes: Sequence[Change], before: dict[str, Answered], after: dict[str, Answered]
) -> None:
    """A digest stands for everything but the two timestamps of `reachability`."""
    for node_id, answer in after.items():
        earlier = before[node_id]
        if answer.status == earlier.status == 200:
            if desired(answer) != desired(earlier):
                assert answer.digest != earlier.digest
            elif all("last_heartbeat_at" in change.sql for change in changes):
                assert answer.digest == earlier.digest


def desired(answer: Answered) -> object:
    value = json.loads(answer.body)
    del value["reachability"]["last_heartbeat_at"], value["reachability"]["changed_at"]
    return value
