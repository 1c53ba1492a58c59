"""The body of a snapshot: parsed, and divided into items that have a key."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from server.cli.failures import ExitCode, Failure

Record = Mapping[str, Any]

BLOCKS = ("peers", "reachability", "policy", "bridge", "state", "reports")
TIMESTAMPS = ("last_heartbeat_at", "changed_at")
BUCKETS = ("metadata", "data", "reports")


def parse_snapshot(body: bytes) -> dict[str, Any]:
    """The parsed envelope. Raises ValueError, whose message begins with a verb."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    missing = [name for name in BLOCKS if name not in value]
    if missing:
        raise ValueError(f"has no {', '.join(missing)}: it is no snapshot")
    try:
        for name in BLOCKS:
            items(name, value)
        rules(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"is not shaped as a snapshot ({type(error).__name__}: {error})") from None
    return value


def read_snapshot(file: str) -> dict[str, Any]:
    """The snapshot in a file, or on stdin for ``-``."""
    source = "the body on stdin" if file == "-" else file
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return parse_snapshot(body)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.", ExitCode.USAGE) from error
    except ValueError as error:
        raise Failure(
            f"{source} {error}; keep a body with `plexsphere-state snapshot NODE --raw > FILE`.",
            ExitCode.USAGE,
        ) from error


def items(block: str, snapshot: Mapping[str, Any]) -> dict[str, Record]:
    """The items of a block by the name that a person knows them by; without the policy's rules."""
    value: Any = snapshot.get(block)
    if block == "peers":
        return _by_key("", value or [], "node_id")
    if block == "reachability":
        return {block: _without(value, *TIMESTAMPS)}
    if block == "policy":
        return {} if value is None else {block: _without(value, "rules")}
    if block == "bridge":
        return _bridge(value)
    if block in ("state", "reports"):
        return _entries(value)
    # A block of a later contract is one item.
    return {} if block not in snapshot else {block: {"value": value}}


def rules(snapshot: Mapping[str, Any]) -> list[str]:
    """The policy's rules as lines, in order."""
    policy = snapshot.get("policy")
    return [] if policy is None else [rule_line(rule) for rule in policy["rules"]]


def rule_line(rule: Record) -> str:
    """``allow tcp 10.0.0.0/8 -> 10.42.0.7/32 port 443``."""
    line = "{action} {protocol} {source_cidr} -> {destination_cidr}".format_map(rule)
    return line + port_range(rule, " port ")


def port_range(rule: Record, prefix: str = "") -> str:
    """``443``, ``8000-8100``, or nothing where the protocol has no ports."""
    ports = rule.get("ports")
    if ports is None:
        return ""
    low, high = ports["from"], ports["to"]
    return prefix + (str(low) if low == high else f"{low}-{high}")


def _bridge(bridge: Record | None) -> dict[str, Record]:
    """Each aggregate is an item itself, because an absent and an empty aggregate differ."""
    if bridge is None:
        return {}
    found: dict[str, Record] = {"bridge": {}}
    for name, aggregate in bridge.items():
        lists = {key: value for key, value in aggregate.items() if isinstance(value, list)}
        found[name] = _without(aggregate, *lists)
        for members in lists.values():
            key = "peer_node_id" if name == "relay" else "slug"
            found |= _by_key(f"{name} ", members, key)
    return found


def _entries(block: Record) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for bucket in BUCKETS:
        found |= _by_key(f"{bucket}/", block[bucket], "key")
    return found


def _by_key(prefix: str, members: list[Record], key: str) -> dict[str, Record]:
    return {f"{prefix}{member[key]}": _without(member, key) for member in members}


def _without(record: Record, *names: str) -> Record:
    return {name: value for name, value in record.items() if name not in names}
