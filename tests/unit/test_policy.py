"""The ``policy`` block: merging, the fingerprint, and every reason to refuse a rule set."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from uuid import UUID

import pytest

from composer.errors import CorruptLedger
from composer.policy import RuleSetRow, policy
from composer.snapshot import CompiledRule, Policy, PolicyPortRange
from tests.factories import ALLOW_HTTPS, DENY_ALL_6, payload, rule_set

HTTPS = CompiledRule("allow", "tcp", "10.0.0.0/8", "10.42.0.7/32", PolicyPortRange(443, 443))
DENY_6 = CompiledRule("deny", "any", "fd00:42::/32", "fd00:42::7/128")
LOG_PING = ALLOW_HTTPS | {"action": "log", "protocol": "icmp"}
LOG_PING.pop("ports")
REQUIRED = ["action", "protocol", "source_cidr", "destination_cidr"]


def merged(*rows: RuleSetRow) -> Policy:
    found = policy(rows)
    assert found is not None
    return found


def line(rule: Any) -> bytes:
    return json.dumps(rule, separators=(",", ":")).encode() + b"\n"


def reason(row: RuleSetRow) -> str:
    with pytest.raises(CorruptLedger) as refused:
        policy([rule_set(0, ALLOW_HTTPS), row])
    return str(refused.value)


def test_a_node_that_no_rule_set_matches_has_no_policy() -> None:
    assert policy([]) is None


def test_a_rule_set_without_rules_is_a_policy_without_rules() -> None:
    assert merged(rule_set(1)).rules == ()


def test_the_fingerprint_of_no_rules_is_the_digest_of_no_bytes() -> None:
    text = base64.b64encode(merged(rule_set(1), rule_set(2)).fingerprint)
    assert text == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_a_rule_is_read_field_by_field() -> None:
    assert merged(rule_set(1, ALLOW_HTTPS, DENY_ALL_6)).rules == (HTTPS, DENY_6)


@pytest.mark.parametrize("protocol", ["icmp", "any"])
def test_a_rule_of_a_protocol_without_ports_has_none(protocol: str) -> None:
    rule = LOG_PING | {"protocol": protocol}
    assert merged(rule_set(1, rule)).rules[0].ports is None


@pytest.mark.parametrize("ports", [(1, 1), (1, 65535), (65535, 65535), (80, 443)])
def test_ports_are_inclusive_and_reach_from_1_to_65535(ports: tuple[int, int]) -> None:
    rule = ALLOW_HTTPS | {"protocol": "udp", "ports": {"from": ports[0], "to": ports[1]}}
    assert merged(rule_set(1, rule)).rules[0].ports == PolicyPortRange(*ports)


def test_rules_keep_their_order_within_a_policy() -> None:
    rules = merged(rule_set(1, DENY_ALL_6, ALLOW_HTTPS, DENY_ALL_6)).rules
    assert rules == (DENY_6, HTTPS, DENY_6)


def test_policies_are_merged_by_ascending_id_whatever_the_order_of_rows() -> None:
    rows = [rule_set(3, ALLOW_HTTPS), rule_set(1, DENY_ALL_6), rule_set(2, LOG_PING)]
    assert [rule.action for rule in merged(*rows).rules] == ["deny", "log", "allow"]


def test_ids_are_compared_by_their_bytes() -> None:
    low, high = UUID(int=255), UUID(int=2**127)
    rows = [rule_set(1, ALLOW_HTTPS, policy_id=high), rule_set(2, DENY_ALL_6, policy_id=low)]
    assert merged(*rows).rules == (DENY_6, HTTPS)


def test_the_revision_is_that_of_the_lowest_policy() -> None:
    rows = [rule_set(3), rule_set(1), rule_set(2)]
    assert merged(*rows).revision_id == rule_set(1).revision_id


def test_the_revision_is_of_the_lowest_policy_even_when_that_has_no_rules() -> None:
    assert merged(rule_set(2, ALLOW_HTTPS), rule_set(1)).revision_id == rule_set(1).revision_id


def test_the_fingerprint_is_over_exactly_the_concatenated_payloads() -> None:
    rows = [rule_set(2, ALLOW_HTTPS), rule_set(1, DENY_ALL_6, LOG_PING)]
    stream = payload(DENY_ALL_6, LOG_PING) + payload(ALLOW_HTTPS)
    assert merged(*rows).fingerprint == hashlib.sha256(stream).digest()


def test_the_fingerprint_is_over_the_stored_bytes_not_over_their_meaning() -> None:
    spaced = json.dumps(ALLOW_HTTPS).encode() + b"\n"
    row = rule_set(1, rule_payload=spaced)
    assert merged(row).fingerprint == hashlib.sha256(spaced).digest()


@pytest.mark.parametrize(
    "cidr",
    ["0.0.0.0/0", "10.42.0.7/32", "10.0.0.1/8", "::/0", "fd00::1/64", "FD00::1/128"],
)
def test_a_range_of_either_family_is_taken_as_it_is_written(cidr: str) -> None:
    rule = DENY_ALL_6 | {"source_cidr": cidr, "destination_cidr": cidr}
    found = merged(rule_set(1, rule)).rules[0]
    assert (found.source_cidr, found.destination_cidr) == (cidr, cidr)


@pytest.mark.parametrize(
    "cidr",
    [
        "",
        "10.0.0.1",
        "fd00::1",
        "10.0.0.0/33",
        "10.0.0.256/32",
        "10.0.0/8",
        "010.0.0.0/8",
        "fd00::/129",
        "fd00:::/64",
        "::ffff:10.0.0.1/128",
        "10.0.0.0/8\n",
        " 10.0.0.0/8",
        "10.0.0.0/-1",
        "10.0.0.0/255.0.0.0",
        "\u0661\u0660.0.0.0/8",
        "fd00::%eth0/64",
        "fd00::" + "0" * 60 + "/64",
        "any",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("sides", [["source_cidr"], ["destination_cidr"], REQUIRED[2:]], ids=len)
def test_what_is_no_range_fails_the_pull(sides: list[str], cidr: str) -> None:
    sound = DENY_ALL_6 if ":" in cidr else LOG_PING
    row = rule_set(1, sound | dict.fromkeys(sides, cidr))
    assert reason(row).endswith("reason=invalid_cidr")


def test_ranges_of_two_families_fail_the_pull() -> None:
    mixed = DENY_ALL_6 | {"source_cidr": "10.0.0.0/8"}
    assert reason(rule_set(1, mixed)).endswith("reason=invalid_cidr")


NO_PORTS = [
    None,
    [],
    443,
    "443",
    {},
    {"from": 443},
    {"to": 443},
    {"from": 0, "to": 443},
    {"from": 1, "to": 65536},
    {"from": 444, "to": 443},
    {"from": -1, "to": 443},
    {"from": 443.0, "to": 443},
    {"from": "443", "to": 443},
    {"from": True, "to": 443},
    {"from": 1, "to": None},
    {"from": 1, "to": 443, "step": 1},
]


@pytest.mark.parametrize("ports", NO_PORTS, ids=repr)
def test_what_is_no_port_range_fails_the_pull(ports: object) -> None:
    row = rule_set(1, ALLOW_HTTPS | {"ports": ports})
    assert reason(row).endswith("reason=invalid_ports")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_ported_protocol_without_ports_fails_the_pull(protocol: str) -> None:
    row = rule_set(1, LOG_PING | {"protocol": protocol})
    assert reason(row).endswith("reason=invalid_ports")


@pytest.mark.parametrize("protocol", ["icmp", "any"])
def test_a_portless_protocol_with_ports_fails_the_pull(protocol: str) -> None:
    row = rule_set(1, ALLOW_HTTPS | {"protocol": protocol})
    assert reason(row).endswith("reason=invalid_ports")


NO_RULES = [
    [],
    "allow",
    7,
    None,
    True,
    {},
    *({key: ALLOW_HTTPS[key] for key in ALLOW_HTTPS if key != left} for left in REQUIRED),
    ALLOW_HTTPS | {"comment": "x"},
    ALLOW_HTTPS | {"action": "drop"},
    ALLOW_HTTPS | {"action": "ALLOW"},
    ALLOW_HTTPS | {"action": None},
    ALLOW_HTTPS | {"action": ["allow"]},
    ALLOW_HTTPS | {"protocol": "sctp"},
    ALLOW_HTTPS | {"protocol": 6},
    ALLOW_HTTPS | {"source_cidr": None},
    ALLOW_HTTPS | {"destination_cidr": {"cidr": "10.0.0.0/8"}},
]  # fmt: skip


@pytest.mark.parametrize("rule", NO_RULES, ids=lambda rule: json.dumps(rule)[:70])
def test_what_breaks_the_schema_of_a_rule_fails_the_pull(rule: object) -> None:
    assert reason(rule_set(1, rule_payload=line(rule))).endswith("reason=invalid_rule")
