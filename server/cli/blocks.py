"""The six blocks of a snapshot as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from server.cli.records import BLOCKS, BUCKETS, port_range
from server.cli.screens import line, pairs, table
from server.cli.text import counted, shortened, when

KEY_LENGTH = 44
_PADDING = 9  # of a table with four columns

Block = Mapping[str, Any]


def render(snapshot: Block, width: int, now: datetime) -> Iterator[Text | Table]:
    """Every block, in wire order; ``width`` is the screen's, in characters."""
    yield from _peers(snapshot["peers"], width)
    yield from _reachability(snapshot["reachability"], now)
    yield from _policy(snapshot["policy"], width)
    yield from _bridge(snapshot["bridge"])
    yield from _entries("state", snapshot["state"])
    if snapshot["reports"] == snapshot["state"]:
        yield line("reports", "the same value as state")
    else:
        yield from _entries("reports", snapshot["reports"])
    for name in snapshot.keys() - set(BLOCKS):
        yield line(name, _compact(snapshot[name]))


def is_narrow(peers: list[Block], width: int) -> bool:
    """Whether a table of ``peers`` has no room for whole keys."""
    others = ("node_id", "mesh_ip", "fallback_endpoint")
    widest = sum(max((len(peer.get(name, "")) for peer in peers), default=0) for name in others)
    return widest + KEY_LENGTH + _PADDING > width


def _peers(peers: list[Block], width: int) -> Iterator[Text | Table]:
    title = f"peers  {counted(len(peers), 'peer')}"
    if not peers:
        yield line(title, "no other Node of the Domain can be programmed")
        return
    narrow = is_narrow(peers, width)
    columns = ["node_id", "mesh_ip", "public_key"]
    relayed = any("fallback_endpoint" in peer for peer in peers)
    rows = []
    for peer in peers:
        row = [peer["node_id"], peer["mesh_ip"], shortened(peer["public_key"], narrow)]
        rows.append([*row, peer.get("fallback_endpoint", "")] if relayed else row)
    yield table(title, [*columns, "fallback_endpoint"] if relayed else columns, rows)


def _reachability(block: Block, now: datetime) -> Iterator[Text | Table]:
    yield pairs(
        "reachability",
        {
            "state": block["state"] or '"" (never evaluated)',
            "last_heartbeat_at": when(block["last_heartbeat_at"], now),
            "changed_at": when(block["changed_at"], now),
        },
    )


def _policy(policy: Block | None, width: int) -> Iterator[Text | Table]:
    if policy is None:
        yield line("policy", "null: no compiled rule set matches this Node")
        return
    rules = policy["rules"]
    title = f"policy  {counted(len(rules), 'rule')}, revision {policy['revision_id']}"
    yield line(title, f"fingerprint {policy['fingerprint']}")
    if rules:
        yield table(
            "", ("#", "action", "protocol", "source", "destination", "ports"), _rules(rules)
        )


def _rules(rules: list[Block]) -> list[list[object]]:
    return [
        [
            number,
            rule["action"],
            rule["protocol"],
            rule["source_cidr"],
            rule["destination_cidr"],
            port_range(rule),
        ]
        for number, rule in enumerate(rules, start=1)
    ]


def _bridge(bridge: Block | None) -> Iterator[Text | Table]:
    if bridge is None:
        yield line("bridge", "null: this Node hosts no bridge Resource")
        return
    yield line("bridge", ", ".join(bridge) or "configured with nothing yet")
    for name, aggregate in bridge.items():
        for key, value in aggregate.items():
            if not isinstance(value, list):
                yield line(f"bridge {name}", f"{key} {_compact(value)}")
            elif value:
                yield _members(f"bridge {name} {key}  {len(value)}", value)
            else:
                yield line(f"bridge {name} {key}", "none")


def _members(title: str, members: list[Block]) -> Table:
    """One row a member; many fields would not fit beside each other, so they share a column."""
    rows = []
    for member in members:
        (_, first), *rest = [(key, one) for key, one in member.items() if key != "id"]
        rows.append((first, "  ".join(f"{key}={_compact(one)}" for key, one in rest)))
    return table(title, ("slug" if "slug" in members[0] else "peer_node_id", "settings"), rows)


def _compact(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _entries(name: str, reports: Block) -> Iterator[Text | Table]:
    rows = [
        (bucket, entry["key"], entry.get("workload_tag", ""), entry["value"])
        for bucket in BUCKETS
        for entry in reports[bucket]
    ]
    sizes = ", ".join(f"{bucket} {len(reports[bucket])}" for bucket in BUCKETS)
    if rows:
        yield table(f"{name}  {sizes}", ("bucket", "key", "workload_tag", "value"), rows)
    else:
        yield line(name, "no entries")
