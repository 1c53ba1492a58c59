"""The audit: a row for each outcome of the gates, and how a Domain's rows are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One outcome of the gates (docs/design.md, Gates). The sink adds the time.

    ``digest``: the desired-state digest that was served (hex), only where it is granted.
    """

    relation: str
    outcome: str
    subject: str
    object: str
    correlation_id: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class AuditedWrite:
    """The audit row of a write, without its object, which the ledger may only now make.

    The port that writes the ledger stores the row in the transaction of the write, so that every
    acknowledged write has one. ``relation_of_repeat``: where an earlier request made the write.
    """

    relation: str
    relation_of_repeat: str
    subject: str
    correlation_id: str


class AuditSink(Protocol):
    """Takes audit rows."""

    def record(self, row: AuditRow) -> None:
        """Returns at once and never raises. A row that is lost is counted and logged."""
        ...


class NoAudit:
    """The sink of a service without an audit, which is no load-bearing port."""

    def record(self, row: AuditRow) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """The filters of a page; None matches every row. ``since`` is included, ``until`` is not."""

    relation: str | None = None
    outcome: str | None = None
    subject: str | None = None
    object: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A stored audit row. ``seq`` is its place among them, with gaps."""

    seq: int
    occurred_at: datetime
    relation: str
    outcome: str
    subject: str
    object: str
    correlation_id: str
    digest: str | None


class DomainAuditReader(Protocol):
    """Reads the audit of a Domain and its Nodes."""

    def page(
        self, domain_id: UUID, query: AuditQuery, after: int, limit: int, deadline: Deadline
    ) -> Sequence[AuditRecord]:
        """Up to ``limit`` rows with a ``seq`` above ``after``, ascending; refusals are included.

        A caller that continues from the last ``seq`` sees every row once, because a page ends
        before the rows of writes that are still in progress. An unknown Domain has no rows.
        Raises DatastoreUnavailable.
        """
        ...
