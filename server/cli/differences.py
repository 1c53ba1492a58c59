"""The differences of two snapshots: items added, removed, changed or moved, block by block.

The two timestamps of ``reachability`` do not count: they move with every heartbeat while the
desired state stays.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from server.cli.failures import ExitCode
from server.cli.screen import Screen, line, plain, table, write_json
from server.cli.snapshot_body import BLOCKS, TIMESTAMPS, Record, items, rules

Snapshot = Mapping[str, Any]

ADDED, REMOVED, CHANGED, MOVED = "added", "removed", "changed", "moved"
_STYLES = {ADDED: "green", REMOVED: "red", CHANGED: "yellow", MOVED: "cyan"}


@dataclass(frozen=True, slots=True)
class ItemChange:
    """An item of a block; ``before`` is None when it was added, ``after`` when removed."""

    kind: str
    item: str
    before: Record | None
    after: Record | None

    def fields(self) -> tuple[str, ...]:
        """The fields to show: those that differ where the item changed, else all."""
        before, after = self.before or {}, self.after or {}
        names = dict.fromkeys((*before, *after))
        if self.kind != CHANGED:
            return tuple(names)
        return tuple(name for name in names if before.get(name) != after.get(name))

    def to_json(self) -> dict[str, Any]:
        """The value as JSON, for scripts."""
        return {"kind": self.kind, "item": self.item, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class SnapshotDifference:
    """``blocks`` has the changes of every block, none for an equal block, in wire order.

    ``timestamps`` are those of reachability that moved: name, before, after.
    """

    blocks: Mapping[str, tuple[ItemChange, ...]]
    timestamps: tuple[tuple[str, str, str], ...]

    @property
    def same(self) -> bool:
        """Whether both snapshots are the same desired state."""
        return not any(self.blocks.values())

    def to_json(self) -> dict[str, Any]:
        """The value as JSON, for scripts."""
        return {
            "same": self.same,
            "blocks": {
                name: [change.to_json() for change in changes]
                for name, changes in self.blocks.items()
            },
            "timestamps": [
                {"field": name, "before": before, "after": after}
                for name, before, after in self.timestamps
            ],
        }


def differences(
    before: Snapshot, after: Snapshot, ignored_peers: Iterable[str] = ()
) -> SnapshotDifference:
    """Compares two bodies. Peers whose node_id is in ``ignored_peers`` are not compared."""
    ignored = frozenset(ignored_peers)
    blocks: dict[str, tuple[ItemChange, ...]] = {}
    for name in dict.fromkeys((*BLOCKS, *before, *after)):
        old, new = items(name, before), items(name, after)
        if name == "peers":
            old, new = _except(old, ignored), _except(new, ignored)
        changes = _changes(old, new)
        if name == "policy":
            changes += _rule_changes(rules(before), rules(after))
        if not changes and not ignored and _content(name, before) != _content(name, after):
            # Every item is equal, so only the order of an array can differ.
            changes = [
                ItemChange(
                    kind=MOVED, item=f"{name}: the same items in another order", before={}, after={}
                )
            ]
        blocks[name] = tuple(changes)
    return SnapshotDifference(blocks, tuple(_moved_timestamps(before, after)))


def _changes(before: Mapping[str, Record], after: Mapping[str, Record]) -> list[ItemChange]:
    """The changes of items that have a key, in the order in which they first appear."""
    changes: list[ItemChange] = []
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        if old is None:
            changes.append(ItemChange(kind=ADDED, item=key, before=None, after=new))
        elif new is None:
            changes.append(ItemChange(kind=REMOVED, item=key, before=old, after=None))
        elif old != new:
            changes.append(ItemChange(kind=CHANGED, item=key, before=old, after=new))
    return changes


def _rule_changes(before: list[str], after: list[str]) -> list[ItemChange]:
    """Rules have no key: they are compared by their text, and their order matters."""
    removed, added = _edits(before, after)
    changes: list[ItemChange] = []
    for position, rule in removed:
        moved_to = next((place for place, other in added if other == rule), None)
        if moved_to is None:
            changes.append(
                ItemChange(kind=REMOVED, item=f"rule {position}", before={"rule": rule}, after=None)
            )
            continue
        added.remove((moved_to, rule))
        places = {"position": position, "rule": rule}, {"position": moved_to, "rule": rule}
        changes.append(ItemChange(MOVED, f"rule {position}", *places))
    changes += [
        ItemChange(kind=ADDED, item=f"rule {position}", before=None, after={"rule": rule})
        for position, rule in added
    ]
    return changes


Positions = list[tuple[int, str]]


def _edits(before: list[str], after: list[str]) -> tuple[Positions, Positions]:
    """The rules to remove from ``before`` and to add to get ``after``, with 1-based positions."""
    from difflib import SequenceMatcher

    removed: Positions = []
    added: Positions = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag != "equal":
            removed += [(index + 1, before[index]) for index in range(old_from, old_to)]
            added += [(index + 1, after[index]) for index in range(new_from, new_to)]
    return removed, added


def _except(peers: Mapping[str, Record], node_ids: frozenset[str]) -> dict[str, Record]:
    return {node_id: peer for node_id, peer in peers.items() if node_id not in node_ids}


def _content(name: str, snapshot: Snapshot) -> object:
    block = snapshot.get(name)
    if name == "reachability" and isinstance(block, Mapping):
        return {field: value for field, value in block.items() if field not in TIMESTAMPS}
    return block


def _moved_timestamps(before: Snapshot, after: Snapshot) -> Iterable[tuple[str, str, str]]:
    for name in TIMESTAMPS:
        old, new = before["reachability"].get(name), after["reachability"].get(name)
        if old != new:
            yield name, str(old), str(new)


@dataclass(frozen=True, slots=True)
class Wording:
    """The words on the screen for the two sides and for each kind of change."""

    before: str
    after: str
    kinds: dict[str, str]


OVER_TIME = Wording(
    "earlier",
    "now",
    {ADDED: "+ added", REMOVED: "- removed", CHANGED: "~ changed", MOVED: "> moved"},
)
TWO_NODES = Wording(
    "A", "B", {ADDED: "only B", REMOVED: "only A", CHANGED: "differs", MOVED: "elsewhere"}
)


def write_difference(difference: SnapshotDifference, wording: Wording, as_json: bool) -> None:
    """Print the difference, and end the command with exit code 1 where the snapshots differ."""
    if as_json:
        write_json(difference.to_json())
    else:
        Screen().print_all(render(difference, wording))
    if not difference.same:
        raise typer.Exit(ExitCode.DIFFERENT)


def render(difference: SnapshotDifference, wording: Wording) -> Iterator[Text | Table]:
    """A table for each block that differs, then the names of the equal blocks."""
    changed = {name: changes for name, changes in difference.blocks.items() if changes}
    if not changed:
        yield line("same", "no block differs")
    for name, changes in changed.items():
        if name == "reports" and changes == difference.blocks.get("state"):
            yield line("reports", "differs as state does: they are the same value")
        else:
            yield table(
                f"{name}  {_counts(changes, wording)}",
                ("", "item", wording.before, wording.after),
                [_row(change, wording) for change in changes],
                folding=2,
            )
    equal = [name for name, changes in difference.blocks.items() if not changes]
    if changed and equal:
        yield line("same", ", ".join(equal))
    for field, before, after in difference.timestamps:
        yield Text.assemble(
            ("not counted", "dim"), plain(f"  reachability.{field}: {before} -> {after}", "dim")
        )


def _counts(changes: tuple[ItemChange, ...], wording: Wording) -> str:
    numbers = Counter(change.kind for change in changes)
    return ", ".join(
        f"{numbers[kind]:,} {words.lstrip('+-~> ')}"
        for kind, words in wording.kinds.items()
        if numbers[kind]
    )


def _row(change: ItemChange, wording: Wording) -> tuple[object, ...]:
    fields = change.fields()
    style = _STYLES[change.kind]
    return (
        plain(wording.kinds[change.kind], style),
        change.item,
        _side(change.before, fields),
        _side(change.after, fields),
    )


def _side(record: Record | None, fields: tuple[str, ...]) -> str:
    if record is None:
        return ""
    # A rule is shown without the name of its field.
    parts = (
        _value(record[name]) if name == "rule" else f"{name}={_value(record[name])}"
        for name in fields
        if name in record
    )
    return "  ".join(parts) or "-"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
