"""How two snapshots differ, as values: what is added, removed, changed or moved, block by block.

Pure functions over parsed bodies. The two timestamps of ``reachability`` are no difference: they
move with every heartbeat while the desired state stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from server.cli.records import BLOCKS, TIMESTAMPS, Record, records, rules

Snapshot = Mapping[str, Any]

ADDED, REMOVED, CHANGED, MOVED = "added", "removed", "changed", "moved"


@dataclass(frozen=True, slots=True)
class Change:
    """One item of a block; ``before`` is None when it was added, ``after`` when removed."""

    kind: str
    item: str
    before: Record | None
    after: Record | None

    def fields(self) -> tuple[str, ...]:
        """The fields worth showing: those that differ where the item itself stayed, else all."""
        before, after = self.before or {}, self.after or {}
        names = dict.fromkeys((*before, *after))
        if self.kind != CHANGED:
            return tuple(names)
        return tuple(name for name in names if before.get(name) != after.get(name))


@dataclass(frozen=True, slots=True)
class Difference:
    """``blocks`` has every block's changes, none for an equal one, in wire order.

    ``timestamps`` are those of reachability that moved: name, before, after. They do not count.
    """

    blocks: Mapping[str, tuple[Change, ...]]
    timestamps: tuple[tuple[str, str, str], ...]

    @property
    def same(self) -> bool:
        """Whether both are the same desired state."""
        return not any(self.blocks.values())

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "same": self.same,
            "blocks": {name: [_json(one) for one in found] for name, found in self.blocks.items()},
            "timestamps": [
                {"field": name, "before": before, "after": after}
                for name, before, after in self.timestamps
            ],
        }


def differences(before: Snapshot, after: Snapshot, apart_from: Iterable[str] = ()) -> Difference:
    """Compare two bodies. Peers whose node_id is in ``apart_from`` are left out of it."""
    left_out = frozenset(apart_from)
    blocks: dict[str, tuple[Change, ...]] = {}
    for name in dict.fromkeys((*BLOCKS, *before, *after)):
        old, new = records(name, before), records(name, after)
        if name == "peers":
            old, new = _without(old, left_out), _without(new, left_out)
        found = keyed(old, new)
        if name == "policy":
            found += sequence(rules(before), rules(after))
        if not found and not left_out and _content(name, before) != _content(name, after):
            # Equal item by item and still not equal: only an array's order is left.
            found = [Change(MOVED, f"{name}: the same items in another order", {}, {})]
        blocks[name] = tuple(found)
    return Difference(blocks, tuple(_moved_timestamps(before, after)))


def keyed(before: Mapping[str, Record], after: Mapping[str, Record]) -> list[Change]:
    """Items that are known by a key of their own, in the order they first appear."""
    found: list[Change] = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if old is None:
            found.append(Change(ADDED, key, None, new))
        elif new is None:
            found.append(Change(REMOVED, key, old, None))
        elif old != new:
            found.append(Change(CHANGED, key, old, new))
    return found


def sequence(before: list[str], after: list[str]) -> list[Change]:
    """Rules have no key: they are known by content, and their order matters."""
    removed, added = _edits(before, after)
    found: list[Change] = []
    for position, rule in removed:
        twin = next((one for one in added if one[1] == rule), None)
        if twin is None:
            found.append(Change(REMOVED, f"rule {position}", {"rule": rule}, None))
            continue
        added.remove(twin)
        places = {"position": position, "rule": rule}, {"position": twin[0], "rule": rule}
        found.append(Change(MOVED, f"rule {position}", *places))
    found += [Change(ADDED, f"rule {position}", None, {"rule": rule}) for position, rule in added]
    return found


Placed = list[tuple[int, str]]


def _edits(before: list[str], after: list[str]) -> tuple[Placed, Placed]:
    """What leaves and what comes to turn one list into the other, with 1-based positions."""
    from difflib import SequenceMatcher

    removed: Placed = []
    added: Placed = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag != "equal":
            removed += [(at + 1, before[at]) for at in range(old_from, old_to)]
            added += [(at + 1, after[at]) for at in range(new_from, new_to)]
    return removed, added


def _without(peers: Mapping[str, Record], node_ids: frozenset[str]) -> dict[str, Record]:
    return {node_id: peer for node_id, peer in peers.items() if node_id not in node_ids}


def _content(name: str, snapshot: Snapshot) -> object:
    value = snapshot.get(name)
    if name == "reachability" and isinstance(value, Mapping):
        return {key: one for key, one in value.items() if key not in TIMESTAMPS}
    return value


def _moved_timestamps(before: Snapshot, after: Snapshot) -> Iterable[tuple[str, str, str]]:
    for name in TIMESTAMPS:
        old, new = before["reachability"].get(name), after["reachability"].get(name)
        if old != new:
            yield name, str(old), str(new)


def _json(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "item": change.item,
        "before": change.before,
        "after": change.after,
    }
