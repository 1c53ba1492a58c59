"""Compiled payloads as bytes: framing, what does not parse, and what a refusal may say."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composer.errors import CorruptLedger
from composer.policy import RuleSetRow, policy
from tests.factories import ALLOW_HTTPS, DENY_ALL_6, payload, rule_set

GOOD = payload(ALLOW_HTTPS)


def reason(row: RuleSetRow) -> str:
    with pytest.raises(CorruptLedger) as refused:
        policy([rule_set(0, ALLOW_HTTPS), row])
    return str(refused.value)


@pytest.mark.parametrize("stored", [GOOD[:-1], GOOD + GOOD[:-1], b"{}", b" "])
def test_a_payload_that_ends_within_a_rule_fails_the_pull(stored: bytes) -> None:
    assert reason(rule_set(1, rule_payload=stored)).endswith("reason=unterminated_rule")


@pytest.mark.parametrize(
    "stored",
    [
        b"\n",
        b"\n\n",
        GOOD + b"\n",
        b"\n" + GOOD,
        b"{\n",
        b"not json\n",
        GOOD[:40] + b"\n" + GOOD[40:],
        b"\xff\xfe\n",
        b"\xef\xbb\xbf" + GOOD,
        b'{"action":"allow"}{"action":"deny"}\n',
        b"[" * 100_000 + b"\n",
        b"1" * 5_000 + b"\n",
        GOOD.replace(b'"protocol"', b'"action":"deny","protocol"'),
        GOOD.replace(b'"to":443', b'"to":443,"to":444'),
        GOOD.replace(b"\n", b"\x00\n"),
    ],
    ids=lambda stored: repr(stored[:40]),
)
def test_a_line_that_is_no_json_object_of_its_own_fails_the_pull(stored: bytes) -> None:
    assert reason(rule_set(1, rule_payload=stored)).endswith("reason=malformed_rule")


@pytest.mark.parametrize(
    "stored",
    [hashlib.sha256(b"other").digest(), b"", b"\0" * 32, hashlib.sha256(GOOD).digest()[:31]],
    ids=["other", "empty", "zeros", "cut"],
)
def test_a_fingerprint_that_disagrees_with_its_payload_fails_the_pull(stored: bytes) -> None:
    row = rule_set(1, ALLOW_HTTPS, fingerprint=stored)
    assert reason(row).endswith("reason=fingerprint_mismatch")


def test_a_disagreeing_fingerprint_fails_the_pull_even_without_rules() -> None:
    row = rule_set(1, fingerprint=hashlib.sha256(b"\n").digest())
    assert reason(row).endswith("reason=fingerprint_mismatch")


def test_a_refusal_names_the_policy() -> None:
    row = rule_set(7, rule_payload=b"broken\n")
    assert reason(row) == f"policy_id={row.policy_id} reason=malformed_rule"


@pytest.mark.parametrize(
    "stored",
    [
        b"hunter2\n",
        payload(ALLOW_HTTPS | {"action": "hunter2"}),
        payload(ALLOW_HTTPS | {"source_cidr": "hunter2"}),
        payload(ALLOW_HTTPS | {"ports": "hunter2"}),
    ],
)
def test_a_refusal_never_shows_the_payload(stored: bytes) -> None:
    with pytest.raises(CorruptLedger) as refused:
        policy([rule_set(1, rule_payload=stored)])
    shown = [str(refused.value), repr(refused.value.__cause__)]
    assert "hunter2" not in " ".join(shown)


def test_one_bad_rule_among_good_ones_fails_the_pull() -> None:
    stored = payload(*[ALLOW_HTTPS] * 20, ALLOW_HTTPS | {"action": "drop"}, DENY_ALL_6)
    assert reason(rule_set(1, rule_payload=stored)).endswith("reason=invalid_rule")


RULES = st.sampled_from(
    [
        ALLOW_HTTPS,
        DENY_ALL_6,
        ALLOW_HTTPS | {"protocol": "udp", "ports": {"from": 1, "to": 65535}},
        DENY_ALL_6 | {"action": "log", "protocol": "icmp"},
    ]
)


@given(st.lists(st.lists(RULES, max_size=4), min_size=1, max_size=5))
@settings(deadline=None, database=None, max_examples=100)
def test_merging_is_concatenation_by_policy_id(sets: list[list[dict[str, Any]]]) -> None:
    rows = [rule_set(number, *rules) for number, rules in enumerate(sets)]
    found = policy(rows[::-1])
    flat = [rule for rules in sets for rule in rules]
    assert found is not None
    saw = [(rule.action, rule.protocol, rule.source_cidr) for rule in found.rules]
    wanted = [(rule["action"], rule["protocol"], rule["source_cidr"]) for rule in flat]
    assert (saw, found.fingerprint) == (wanted, hashlib.sha256(payload(*flat)).digest())
