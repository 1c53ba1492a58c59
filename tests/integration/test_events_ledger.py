"""The law of events on real Postgres: a pull and the later events give every later pull."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from composer.events import LedgerEvent, PolicyChange, event
from server.events.envelope import Sent, signed_envelope
from tests.envelope_verifier import Refused, verify
from tests.factories import DOMAIN
from tests.integration.event_history import (
    FOREIGN,
    KEYS,
    NODES,
    OTHER_DOMAIN,
    RESOURCES,
    SIGNERS,
    OneKey,
    Pulls,
    Step,
    as_agent_sees,
    begin_history,
    disagreement,
    pulls_of,
    read_events,
    rule_line,
    run_history,
    step,
)
from tests.integration.ledger_rows import Hand

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def pulls(ledger_dsn: str) -> Iterator[Pulls]:
    with pulls_of(ledger_dsn) as made:
        yield made


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32))
def test_a_pull_and_the_later_events_give_every_later_pull(
    emptied: Hand, pulls: Pulls, seed: int
) -> None:
    steps = run_history(emptied, pulls, random.Random(seed))
    assert disagreement(steps, read_events(emptied.dsn)) is None


def test_a_bridge_resource_that_moves_away_takes_its_relay_from_the_peers(
    emptied: Hand, pulls: Pulls
) -> None:
    begin_history(emptied)
    emptied.run("DELETE FROM plexsphere.bridge_resources WHERE id = %s", RESOURCES[1])
    before = step(emptied, pulls)
    sql = "UPDATE plexsphere.bridge_resources SET node_id = %s WHERE id = %s"
    emptied.run(sql, FOREIGN, RESOURCES[0])
    after = step(emptied, pulls)
    assert after[1][NODES[2]] != before[1][NODES[2]]
    assert disagreement([before, after], read_events(emptied.dsn)) is None


def test_what_an_agent_writes_itself_is_no_event(emptied: Hand) -> None:
    begin_history(emptied)
    before = len(read_events(emptied.dsn))
    emptied.insert("node_state_entries", node_id=NODES[0], kind="report", key="a", value="1")
    emptied.run("UPDATE plexsphere.node_state_entries SET value = '2'")
    emptied.run("UPDATE plexsphere.nodes SET last_heartbeat_at = now()")
    emptied.run("DELETE FROM plexsphere.node_state_entries")
    assert len(read_events(emptied.dsn)) == before


@pytest.fixture(scope="module")
def recorded(ledger_dsn: str) -> tuple[list[Step], list[LedgerEvent]]:
    """A history that is known to agree."""
    with closing(Hand(ledger_dsn)) as hand, pulls_of(ledger_dsn) as pulls:
        steps = run_history(hand, pulls, random.Random(7), steps=40)
        rows = read_events(ledger_dsn)
    assert disagreement(steps, rows) is None
    return steps, rows


def test_a_dropped_event_is_seen(recorded: tuple[list[Step], list[LedgerEvent]]) -> None:
    steps, rows = recorded
    faults = [
        disagreement(steps, [other for other in rows if other is not row])
        for row in rows
        if row.block == "peer" and as_agent_sees(row, NODES[0]) and row.seq > steps[0][0]
    ]
    assert len([fault for fault in faults if fault]) > len(faults) / 2 > 1


def moved(rows: list[LedgerEvent], by: int) -> list[LedgerEvent]:
    """Each row with the content of another one of its scope and block."""
    made = list(rows)
    for index, row in enumerate(rows):
        same = [other for other in rows if (other.scope, other.block) == (row.scope, row.block)]
        place = same.index(row) + by
        if 0 <= place < len(same):
            made[index] = replace(row, change=same[place].change)
    return made


def test_a_reordered_and_an_early_event_are_seen(
    recorded: tuple[list[Step], list[LedgerEvent]],
) -> None:
    steps, rows = recorded
    assert disagreement(steps, moved(rows, by=0)) is None
    assert disagreement(steps, moved(rows, by=-1)) is not None
    assert disagreement(steps, moved(rows, by=+1)) is not None


def test_a_tampered_a_foreign_and_a_replayed_event_are_refused(
    recorded: tuple[list[Step], list[LedgerEvent]],
) -> None:
    change = next((row, found) for row in recorded[1] if (found := event(row)))
    sent = Sent(change[0].id, f"domain:{DOMAIN}", change[1])
    good = signed_envelope(sent, SIGNERS.current, datetime.now(UTC))
    keys, scopes = {KEYS.key.id: KEYS.key.public_key}, {f"domain:{DOMAIN}"}
    assert verify(good, keys, scopes).scope == f"domain:{DOMAIN}"
    tampered = good.replace(b'"node_id":"0', b'"node_id":"1', 1)
    assert tampered != good
    for data, trusted, concerned in (
        (tampered, keys, scopes),
        (good, {KEYS.key.id: OneKey().key.public_key}, scopes),
        (good, {}, scopes),
        (good, keys, {f"domain:{OTHER_DOMAIN}"}),
        (
            good.replace(str(DOMAIN).encode(), OTHER_DOMAIN.encode()),
            keys,
            {f"domain:{OTHER_DOMAIN}"},
        ),
    ):
        with pytest.raises(Refused):
            verify(data, trusted, concerned)


def test_writers_at_once_tell_the_last_state_last(emptied: Hand) -> None:
    """Each of them writes another rule set of the same two Nodes."""
    emptied.run("DELETE FROM plexsphere.events")
    emptied.insert("domains", id=DOMAIN)
    for node in NODES[:2]:
        emptied.insert("nodes", id=node, domain_id=DOMAIN)

    def write(policy: int) -> None:
        with closing(psycopg2.connect(emptied.dsn)) as connection:
            for port in range(1, 9):
                payload = rule_line(port)
                with connection, connection.cursor() as used:
                    for node in NODES[:2]:
                        used.execute(
                            "INSERT INTO plexsphere.policy_compiled_ruleset"
                            " VALUES (%s, %s, gen_random_uuid(), %s, %s)"
                            " ON CONFLICT (node_id, policy_id) DO UPDATE SET"
                            " rule_payload = EXCLUDED.rule_payload,"
                            " fingerprint = EXCLUDED.fingerprint",
                            (node, str(UUID(int=policy)), payload, sha256(payload).digest()),
                        )

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(write, policy) for policy in range(1, 7)]:
            done.result()
    rows = [row for row in read_events(emptied.dsn) if row.block == "policy"]
    for node in NODES[:2]:
        shown = [row.change for row in rows if row.node_id == UUID(node)]
        assert len(shown) == 6 * 8
        counts: dict[int, int] = {}
        for change in shown:
            assert isinstance(change, PolicyChange)
            now = {
                row.policy_id.int: json.loads(row.rule_payload)["ports"]["to"]
                for row in change.rows
            }
            # Each event adds one change, and takes nothing back that was told before.
            assert sum(now.values()) == sum(counts.values()) + 1
            counts = now
        assert counts == dict.fromkeys(range(1, 7), 8)
