"""The commands about events on a real ledger: the lag, the keys, and what encrypts them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from server.cli.diagnosis import event_keys_check
from server.cli.operators import operator
from server.events.keys import EncryptedEventKeys, new_kek, parse_keks
from server.settings import Settings
from tests.command_runs import run
from tests.factories import DOMAIN, node_id
from tests.integration.ledger_rows import Hand

pytest_plugins = "tests.integration.ledger_fixtures"

OTHER_DOMAIN = UUID(int=DOMAIN.int + 1)
OLD, NEW = new_kek(), new_kek()


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On a ledger with two Domains, whose keys are under the old KEK, and no event."""
    emptied.run("DELETE FROM plexsphere.events")
    for domain in (DOMAIN, OTHER_DOMAIN):
        emptied.insert("domains", id=domain)
        key = EncryptedEventKeys(*parse_keks(OLD)).new(domain)
        emptied.insert(
            "event_keys",
            domain_id=domain,
            key_id=key.id,
            public_key=key.public_key,
            encrypted_private_key=key.encrypted_private_key,
        )
    return emptied


def as_json(hand: Hand, kek: str, *command: str, exit_code: int = 0) -> Any:
    result = run("events", *command, "--json", PLEXSPHERE_DSN=hand.dsn, PLEXSPHERE_EVENT_KEK=kek)
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def test_the_lag(hand: Hand) -> None:
    assert "0 events waiting" in run("events", "lag", "--dsn", hand.dsn).output
    hand.node(DOMAIN, 1, id=node_id(1))
    assert "1 event waiting" in run("events", "lag", "--dsn", hand.dsn).output
    hand.run("UPDATE plexsphere.events SET created_at = now() - interval '1 minute'")
    late = run("events", "lag", "--dsn", hand.dsn, "--json")
    assert (late.exit_code, json.loads(late.output)["waiting"]) == (1, 1)


def test_a_key_is_rotated_once_and_the_audit_says_by_whom(hand: Hand) -> None:
    hand.run("DELETE FROM plexsphere.audit_rows")
    rotated = as_json(hand, OLD, "rotate-key", str(DOMAIN))
    current = "SELECT key_id FROM plexsphere.event_keys WHERE transition_expires IS NULL"
    assert (rotated["key_id"],) in hand.run(current)
    variables = {"PLEXSPHERE_DSN": hand.dsn, "PLEXSPHERE_EVENT_KEK": OLD}
    again = run("events", "rotate-key", str(DOMAIN), **variables)
    assert "the last rotation is not over" in again.output
    unknown = run("events", "rotate-key", str(node_id(9)), **variables)
    assert "the ledger has no Domain" in unknown.output
    rows = hand.run("SELECT domain_id::text, relation, subject, object FROM plexsphere.audit_rows")
    assert rows == [(str(DOMAIN), "domain.rotate_event_key", operator(), f"domain:{DOMAIN}")]


def test_keys_are_encrypted_under_a_new_kek_and_the_old_one_may_go(hand: Hand) -> None:
    before = as_json(hand, f"{OLD},{NEW}", "rotate-key", str(DOMAIN))["previous_key_id"]
    both = f"{NEW},{OLD}"
    assert as_json(hand, both, "re-encrypt") == {
        "re_encrypted": 3,
        "unchanged": 0,
        "undecryptable": [],
    }
    assert as_json(hand, both, "re-encrypt")["unchanged"] == 3
    assert as_json(hand, NEW, "rotate-key", str(OTHER_DOMAIN))["key_id"] != before


def test_a_key_under_neither_kek_is_named_and_the_others_are_encrypted(hand: Hand) -> None:
    sql = "UPDATE plexsphere.event_keys SET encrypted_private_key = 'x' WHERE domain_id = %s"
    hand.run(sql, DOMAIN)
    found = as_json(hand, f"{NEW},{OLD}", "re-encrypt", exit_code=1)
    assert found == {"re_encrypted": 1, "unchanged": 0, "undecryptable": [str(DOMAIN)]}


# With names: keys are made at import, and both processes of a run must collect the same tests.
@pytest.mark.parametrize(
    ("kek", "is_ok"),
    [(OLD, True), (f"{NEW},{OLD}", True), (NEW, False)],
    ids=["old", "both", "new"],
)
def test_the_doctor_sees_a_kek_that_decrypts_nothing(hand: Hand, kek: str, is_ok: bool) -> None:
    check = event_keys_check(Settings(dsn=hand.dsn, event_kek=parse_keks(kek)))
    assert (check.ok, "decrypt" in check.detail) == (is_ok, True)
