"""A Node's entries: the ``state`` and ``reports`` blocks, and the port that writes entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from composer.audit import AuditedWrite
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
# Of a value in UTF-8. Agents count bytes, but a JSON schema can only count characters.
VALUE_MAX_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One row of ``plexsphere.node_state_entries``; an unset ``workload_tag`` is None or ""."""

    kind: str
    key: str
    value: str
    workload_tag: str | None = None


def entries_size(rows: Sequence[EntryRow]) -> int:
    """About how many bytes the rows have."""
    return sum(len(row.key) + len(row.value) for row in rows)


def reports(rows: Sequence[EntryRow]) -> Reports:
    """Group the rows by kind, keys ascending. Raises CorruptLedger for an unknown kind."""
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


def entry_not_found(kind: str, detail: str) -> ComposerError:
    """The error of a removal where the Node has no such entry."""
    return ReportNotFound(detail) if kind == REPORT else EntryNotFound(detail)


def quota_exceeded(kind: str, detail: str) -> ComposerError:
    """The error of an entry beyond the quota."""
    return ReportQuotaExceeded(detail) if kind == REPORT else EntryQuotaExceeded(detail)


class EntriesSource(Protocol):
    """Yields the Addressed Node's entries of every kind, in any order."""

    def entries(self) -> Sequence[EntryRow]: ...


class EntryStore(Protocol):
    """Writes a Node's entries: reports of its agent, metadata and data of editors. The audit row is
    in the transaction of each write.

    The next pull shows a change; the Domain's ``peers_revision`` stays. An adapter may run a
    statement again where a connection is lost. A report waits only for another report of the same
    Node and for the deletion of the Node. Metadata and data are written under a lock on the
    Domain's row, and a change is announced as one event ``node_state_updated``, so the numbers of a
    Node's events have the order of the changes.
    """

    def put(
        self, node: AddressedNode, entry: EntryRow, write: AuditedWrite, deadline: Deadline
    ) -> datetime:
        """Store or replace an entry. Returns the time of the ledger's clock, in UTC.

        An equal entry changes nothing; it leaves an audit row and no event. The quota of a kind
        holds with any number of writers; a replacement never exceeds it. Raises NodeNotFound where
        the Node is not in that Domain, ReportQuotaExceeded or EntryQuotaExceeded,
        DatastoreUnavailable.
        """
        ...

    def remove(
        self, node: AddressedNode, kind: str, key: str, write: AuditedWrite, deadline: Deadline
    ) -> None:
        """Raises NodeNotFound, ReportNotFound or EntryNotFound, DatastoreUnavailable."""
        ...
