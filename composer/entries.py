"""The ``state`` and ``reports`` blocks: a Node's entries, fanned by kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from composer.errors import CorruptLedger
from composer.snapshot import Reports, StateEntry

KINDS = ("metadata", "data", "report")


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One row of ``plexsphere.node_state_entries``; an unset ``workload_tag`` is None or ""."""

    kind: str
    key: str
    value: str
    workload_tag: str | None = None


def reports(rows: Sequence[EntryRow]) -> Reports:
    """Three buckets, keys ascending by code point. Raises CorruptLedger for another kind."""
    buckets: dict[str, list[StateEntry]] = {kind: [] for kind in KINDS}
    for row in sorted(rows, key=lambda row: row.key):
        if row.kind not in buckets:
            raise CorruptLedger("node_state_entries.kind is none of metadata, data, report")
        buckets[row.kind].append(StateEntry(row.key, row.value, row.workload_tag or None))
    return Reports(
        metadata=tuple(buckets["metadata"]),
        data=tuple(buckets["data"]),
        reports=tuple(buckets["report"]),
    )
