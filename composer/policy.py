"""The ``policy`` block: the merged rule sets of a Node.

A rule set's payload is a rule stream: one canonical JSON object per line. So concatenated payloads
are again a rule stream.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, Protocol
from uuid import UUID

from composer.errors import CorruptLedger
from composer.snapshot import CompiledRule, Policy, PolicyPortRange

ACTIONS = frozenset(("allow", "deny", "log"))
PROTOCOLS = frozenset(("tcp", "udp", "icmp", "any"))
PROTOCOLS_WITH_PORTS = frozenset(("tcp", "udp"))
MAX_PORT = 65535
_REQUIRED = {"action", "protocol", "source_cidr", "destination_cidr"}
# The contract's pattern: no address without a prefix, no IPv4-mapped IPv6 with dots.
_CIDR = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}|[0-9a-fA-F:]+/[0-9]{1,3}", re.ASCII)
_CIDR_MAX = 49


@dataclass(frozen=True, slots=True)
class RuleSetRow:
    """One row of ``plexsphere.policy_compiled_ruleset``: the rules of one Policy for one Node."""

    policy_id: UUID
    revision_id: UUID
    rule_payload: bytes
    fingerprint: bytes


def policy(rows: Sequence[RuleSetRow]) -> Policy | None:
    """Merge the rows by ascending ``policy_id``; None where there are no rows.

    Raises CorruptLedger for any invalid row, because an incomplete firewall is worse than no
    update. The message names the Policy and the reason, never the payload.
    """
    if not rows:
        return None
    ordered = sorted(rows, key=lambda row: row.policy_id.bytes)
    rules = tuple(rule for row in ordered for rule in _rules(row))
    stream = b"".join(row.rule_payload for row in ordered)
    return Policy(ordered[0].revision_id, hashlib.sha256(stream).digest(), rules)


def policy_size(rows: Sequence[RuleSetRow]) -> int:
    """About how many bytes the rows have."""
    return sum(len(row.rule_payload) for row in rows)


def _rules(row: RuleSetRow) -> Iterator[CompiledRule]:
    if hashlib.sha256(row.rule_payload).digest() != row.fingerprint:
        raise _corrupt(row, "fingerprint_mismatch")
    if not row.rule_payload:
        return
    if not row.rule_payload.endswith(b"\n"):
        raise _corrupt(row, "unterminated_rule")
    for line in row.rule_payload[:-1].split(b"\n"):
        yield _rule(row, line)


def _rule(row: RuleSetRow, line: bytes) -> CompiledRule:
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_without_repeated_keys)
    except (ValueError, RecursionError):
        raise _corrupt(row, "malformed_rule") from None
    if not isinstance(value, dict) or not _REQUIRED <= value.keys() <= _REQUIRED | {"ports"}:
        raise _corrupt(row, "invalid_rule")
    action, protocol = value["action"], value["protocol"]
    source, destination = value["source_cidr"], value["destination_cidr"]
    if not all(isinstance(text, str) for text in (action, protocol, source, destination)):
        raise _corrupt(row, "invalid_rule")
    if action not in ACTIONS or protocol not in PROTOCOLS:
        raise _corrupt(row, "invalid_rule")
    family = _family(source)
    if family == 0 or family != _family(destination):
        raise _corrupt(row, "invalid_cidr")
    if ("ports" in value) != (protocol in PROTOCOLS_WITH_PORTS):
        raise _corrupt(row, "invalid_ports")
    ports = _ports(row, value["ports"]) if "ports" in value else None
    return CompiledRule(
        action=action,
        protocol=protocol,
        source_cidr=source,
        destination_cidr=destination,
        ports=ports,
    )


def _ports(row: RuleSetRow, value: object) -> PolicyPortRange:
    if not isinstance(value, dict) or value.keys() != {"from", "to"}:
        raise _corrupt(row, "invalid_ports")
    low, high = value["from"], value["to"]
    # type(), because isinstance() also accepts JSON's true
    if type(low) is not int or type(high) is not int or not 1 <= low <= high <= MAX_PORT:
        raise _corrupt(row, "invalid_ports")
    return PolicyPortRange(low, high)


@lru_cache(maxsize=65_536)
def _family(cidr: str) -> int:
    """4 or 6; 0 for an invalid CIDR. Cached, because rule sets repeat their networks."""
    if len(cidr) > _CIDR_MAX or not _CIDR.fullmatch(cidr):
        return 0
    try:
        return ip_network(cidr, strict=False).version
    except ValueError:
        return 0


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _corrupt(row: RuleSetRow, reason: str) -> CorruptLedger:
    return CorruptLedger(f"policy_id={row.policy_id} reason={reason}")


class PolicySource(Protocol):
    """Yields the Addressed Node's rule sets, one row per Policy, in any order."""

    def policies(self) -> Sequence[RuleSetRow]: ...
