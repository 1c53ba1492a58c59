"""ListDomainAudit: the audit rows of a Domain and its Nodes."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from composer.audit import AuditQuery, AuditRecord
from composer.identity import AddressedDomain
from handlers.answers import Answer
from handlers.operation import Request
from handlers.refusals import INVALID_CURSOR, INVALID_FILTER, Refused
from handlers.wire_values import Json, instant

# The canonical form of a seq from 0 to 2**63 - 1.
_CURSOR = re.compile(r"[A-Za-f][A-Za-z0-9_-]{9}[AEIMQUYcgkosw048]", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Up to ``limit`` rows that match ``query``, with a ``seq`` above ``after``."""

    query: AuditQuery
    after: int
    limit: int


def audit_page(
    domain_id: UUID,
    limit: int,
    cursor: str | None = None,
    relation: str | None = None,
    outcome: str | None = None,
    subject: str | None = None,
    object: str | None = None,
    correlation_id: str | None = None,
    from_: str | None = None,
    to: str | None = None,
) -> AuditPage:
    """The requested page."""
    after = seq_of(cursor)
    query = AuditQuery(
        relation=relation,
        outcome=outcome,
        subject=subject,
        object=object,
        correlation_id=correlation_id,
        since=_moment(from_),
        until=_moment(to),
    )
    return AuditPage(query, after, limit)


def list_domain_audit(request: Request, domain: AddressedDomain, parsed: AuditPage) -> Answer:
    """A page of rows, oldest first."""
    # One more row than requested shows whether another page follows.
    rows = request.ports.domain_audit.page(
        domain_id=domain.id,
        query=parsed.query,
        after=parsed.after,
        limit=parsed.limit + 1,
        deadline=request.deadline,
    )
    return Answer(200, audit_page_value(rows, parsed.limit))


def cursor_of(seq: int) -> str:
    """The cursor of the rows after ``seq``: its eight bytes in base64url, eleven characters."""
    return base64.urlsafe_b64encode(seq.to_bytes(8)).decode("ascii").rstrip("=")


def seq_of(cursor: str | None) -> int:
    """The ``seq`` after which a page begins; 0 without a cursor."""
    if cursor is None:
        return 0
    if not _CURSOR.fullmatch(cursor):
        raise Refused(INVALID_CURSOR, "not a cursor of this list")
    return int.from_bytes(base64.urlsafe_b64decode(f"{cursor}="))


def _moment(text: str | None) -> datetime | None:
    """A time of the query. The contract's pattern also accepts dates that do not exist."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(INVALID_FILTER, "from or to is not a time") from None
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # in the first or last hours of datetime's range, where no row is
        return moment.replace(tzinfo=UTC)


def audit_page_value(rows: Sequence[AuditRecord], limit: int) -> Json:
    """An AuditPage of ``limit`` rows; a row more says that another page follows."""
    items = rows[:limit]
    value: Json = {"items": [_row_value(row) for row in items]}
    if len(rows) > limit:
        value["next_cursor"] = cursor_of(items[-1].seq)
    return value


def _row_value(row: AuditRecord) -> Json:
    value: Json = {
        "seq": row.seq,
        "occurred_at": instant(row.occurred_at),
        "relation": row.relation,
        "outcome": row.outcome,
        "subject": row.subject,
        "object": row.object,
        "correlation_id": row.correlation_id,
    }
    if row.digest is not None:
        value["digest"] = row.digest
    return value
