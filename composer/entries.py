"""A Node's entries: the ``state`` and ``reports`` blocks sort them by kind, a store writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from composer.deadline import Deadline
from composer.errors import (
    ComposerError,
    CorruptLedger,
    EntryNotFound,
    EntryQuotaExceeded,
    ReportNotFound,
    ReportQuotaExceeded,
)
from composer.identity import AddressedNode
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


class EntriesSource(Protocol):
    """The Addressed Node's entries of every kind, in any order."""

    def entries(self) -> Sequence[EntryRow]: ...


class EntryStore(Protocol):
    """Where a Node's entries are written: its agent's reports, the platform's metadata and data.

    Neither method touches the Domain's ``peers_revision``; the next pull shows what was done. Both
    may be sent twice where a connection is lost. A report waits only for another report of the same
    Node, and for whoever is deleting it. Metadata and data are written under their Domain's row and
    leave one event ``node_state_updated`` in the same transaction, so that a Domain's events are
    numbered in the order in which they took effect.
    """

    def put(self, node: AddressedNode, entry: EntryRow, deadline: Deadline) -> datetime:
        """Store or replace; the moment by the ledger's clock, in UTC.

        The same entry again changes nothing and leaves no event. The quota of a kind holds under
        any number of writers; replacing never exceeds it. Raises NodeNotFound when the Node is not,
        or no longer, in that Domain (nothing is written then), ReportQuotaExceeded or
        EntryQuotaExceeded, DatastoreUnavailable.
        """
        ...

    def remove(self, node: AddressedNode, kind: str, key: str, deadline: Deadline) -> None:
        """Raises NodeNotFound, ReportNotFound or EntryNotFound, DatastoreUnavailable."""
        ...
