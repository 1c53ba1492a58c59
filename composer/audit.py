"""The audit: a row for each outcome of the gates, and a Domain's rows read back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from composer.deadline import Deadline


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One outcome of the gates (docs/design.md, Gates).

    ``digest`` is the desired-state digest that was served (hex), on ``granted`` only. ``is_done``:
    the ledger has changed, so the row stands whatever answer leaves. The sink stamps the time.
    """

    relation: str
    outcome: str
    subject: str
    object: str
    correlation_id: str
    digest: str | None = None
    is_done: bool = False


class AuditSink(Protocol):
    """``record`` returns at once and never raises; what is lost is counted and logged."""

    def record(self, row: AuditRow) -> None: ...


class SilentAudit:
    """The nil sink: no rows, no error, no 501, because the audit is no load-bearing port."""

    def record(self, row: AuditRow) -> None:
        """Forget ``row``."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What a row must have; None is anything. ``since`` is included, ``until`` is not."""

    relation: str | None = None
    outcome: str | None = None
    subject: str | None = None
    object: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """A row of the audit. ``seq`` grows in the order of commits, and has gaps."""

    seq: int
    occurred_at: datetime
    relation: str
    outcome: str
    subject: str
    object: str
    correlation_id: str
    digest: str | None


class DomainAuditReader(Protocol):
    """The audit of a Domain and its Nodes, read back."""

    def page(
        self, domain_id: UUID, query: AuditQuery, after: int, limit: int, deadline: Deadline
    ) -> Sequence[AuditRecord]:
        """At most ``limit`` rows past the sequence ``after``, in its order, refusals among them.

        Whoever goes on with the last one's ``seq`` sees every row once: none is committed behind
        it. A Domain without rows, or without being, has none. Raises DatastoreUnavailable.
        """
        ...
