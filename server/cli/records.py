"""A snapshot's blocks taken apart into items that have a key: what differences are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]

BLOCKS = ("peers", "reachability", "policy", "bridge", "state", "reports")
TIMESTAMPS = ("last_heartbeat_at", "changed_at")
BUCKETS = ("metadata", "data", "reports")


def records(block: str, snapshot: Mapping[str, Any]) -> dict[str, Record]:
    """The items of one block by the name a person has for them; the policy's rules are not here."""
    value: Any = snapshot.get(block)
    if block == "peers":
        return _by_key("", value or [], "node_id")
    if block == "reachability":
        return {block: _apart_from(value, *TIMESTAMPS)}
    if block == "policy":
        return {} if value is None else {block: _apart_from(value, "rules")}
    if block == "bridge":
        return _bridge(value)
    if block in ("state", "reports"):
        return _entries(value)
    # A later contract's block: compared as a whole.
    return {} if block not in snapshot else {block: {"value": value}}


def rules(snapshot: Mapping[str, Any]) -> list[str]:
    """The policy's rules as lines, in order."""
    policy = snapshot.get("policy")
    return [] if policy is None else [rule_line(rule) for rule in policy["rules"]]


def rule_line(rule: Record) -> str:
    """``allow tcp 10.0.0.0/8 -> 10.42.0.7/32 port 443``."""
    line = "{action} {protocol} {source_cidr} -> {destination_cidr}".format_map(rule)
    return line + port_range(rule, " port ")


def port_range(rule: Record, before: str = "") -> str:
    """``443``, ``8000-8100``, or nothing where the protocol has no ports."""
    ports = rule.get("ports")
    if ports is None:
        return ""
    low, high = ports["from"], ports["to"]
    return before + (str(low) if low == high else f"{low}-{high}")


def _bridge(bridge: Record | None) -> dict[str, Record]:
    """An aggregate that is present counts by itself: absent and empty are not the same."""
    if bridge is None:
        return {}
    found: dict[str, Record] = {"bridge": {}}
    for name, aggregate in bridge.items():
        lists = {key: one for key, one in aggregate.items() if isinstance(one, list)}
        found[name] = _apart_from(aggregate, *lists)
        for members in lists.values():
            key = "peer_node_id" if name == "relay" else "slug"
            found |= _by_key(f"{name} ", members, key)
    return found


def _entries(reports: Record) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for bucket in BUCKETS:
        found |= _by_key(f"{bucket}/", reports[bucket], "key")
    return found


def _by_key(prefix: str, members: list[Record], key: str) -> dict[str, Record]:
    return {f"{prefix}{one[key]}": _apart_from(one, key) for one in members}


def _apart_from(record: Record, *names: str) -> Record:
    return {name: value for name, value in record.items() if name not in names}
