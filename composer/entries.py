"""A Node's entries: the ``state`` and ``reports`` blocks fan them by kind, writers store one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from composer.errors import (
    ComposerError,
    CorruptLedger,
    EntryNotFound,
    EntryQuotaExceeded,
    ReportNotFound,
    ReportQuotaExceeded,
)
from composer.snapshot import Reports, StateEntry

METADATA, DATA, REPORT = "metadata", "data", "report"
KINDS = (METADATA, DATA, REPORT)
# Of a value, in bytes of UTF-8: a JSON schema counts characters, agents count bytes.
VALUE_MAX_BYTES = 4_096


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


def missing(kind: str, detail: str) -> ComposerError:
    """What a removal of an entry that is not there raises."""
    return ReportNotFound(detail) if kind == REPORT else EntryNotFound(detail)


def too_many(kind: str, detail: str) -> ComposerError:
    """What an entry beyond the quota raises."""
    return ReportQuotaExceeded(detail) if kind == REPORT else EntryQuotaExceeded(detail)
