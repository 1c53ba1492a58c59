"""A difference of two snapshots as a person reads it: a verdict, then one table a block."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from server.cli.differences import ADDED, CHANGED, MOVED, REMOVED, Change, Difference
from server.cli.records import Record
from server.cli.screens import line, plain, table

_STYLES = {ADDED: "green", REMOVED: "red", CHANGED: "yellow", MOVED: "cyan"}


@dataclass(frozen=True, slots=True)
class Wording:
    """What the two sides are called, and what each kind of change is."""

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


def render(difference: Difference, wording: Wording) -> Iterator[Text | Table]:
    """The verdict first; equal blocks are named and not shown."""
    changed = {name: found for name, found in difference.blocks.items() if found}
    if not changed:
        yield line("same", "no block differs")
    for name, found in changed.items():
        if name == "reports" and found == difference.blocks.get("state"):
            yield line("reports", "differs as state does: they are the same value")
        else:
            yield table(
                f"{name}  {_counts(found, wording)}",
                ("", "item", wording.before, wording.after),
                [_row(one, wording) for one in found],
                folding=2,
            )
    equal = [name for name, found in difference.blocks.items() if not found]
    if changed and equal:
        yield line("same", ", ".join(equal))
    for field, before, after in difference.timestamps:
        yield Text.assemble(
            ("not counted", "dim"), plain(f"  reachability.{field}: {before} -> {after}", "dim")
        )


def _counts(found: tuple[Change, ...], wording: Wording) -> str:
    numbers = Counter(one.kind for one in found)
    return ", ".join(
        f"{numbers[kind]:,} {words.lstrip('+-~> ')}"
        for kind, words in wording.kinds.items()
        if numbers[kind]
    )


def _row(change: Change, wording: Wording) -> tuple[object, ...]:
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
    shown = [name for name in fields if name in record]
    # A rule is its own name.
    parts = (
        _value(record[one]) if one == "rule" else f"{one}={_value(record[one])}" for one in shown
    )
    return "  ".join(parts) or "-"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
