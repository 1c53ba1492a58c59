"""ListDomainAudit: who asked what of a Domain and its Nodes, and what came of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from composer.audit import AuditQuery, AuditRecord, AuditSink, DomainAuditReader, SilentAudit
from composer.errors import ComposerError
from composer.identity import DomainRepo, RelationChecker, domain_object
from handlers.answers import Answer, Call
from handlers.domain_gates import AUDITOR, canonical_domain_id, granted_domain
from handlers.gates import GRANTED, Asked, audit, known_principal
from handlers.refusals import (
    AUDIT_NOT_PROVISIONED,
    INVALID_CURSOR,
    INVALID_FILTER,
    Refused,
    refusal_for,
)
from handlers.wire_values import Json, instant

READ_AUDIT = Asked(AUDITOR, "domain_audit.read")
# Of a seq from 0 to 2**63 - 1, and of each one spelling.
_CURSOR = re.compile(r"[A-Za-f][A-Za-z0-9_-]{9}[AEIMQUYcgkosw048]", re.ASCII)


@dataclass(frozen=True, slots=True)
class DomainAuditPorts:
    """Everything the read needs; without it the operation is bound to refuse_domain_audit."""

    relations: RelationChecker
    domains: DomainRepo
    trail: DomainAuditReader
    audit: AuditSink = field(default_factory=SilentAudit)


def list_domain_audit(
    ports: DomainAuditPorts,
    call: Call,
    domain_id: str,
    limit: int,
    cursor: str | None = None,
    relation: str | None = None,
    outcome: str | None = None,
    subject: str | None = None,
    object: str | None = None,
    correlation_id: str | None = None,
    from_: str | None = None,
    to: str | None = None,
) -> Answer:
    """A page of rows, oldest first."""
    principal = known_principal(call.principal)
    addressed = canonical_domain_id(domain_id)
    after = seq_of(cursor)
    since, until = _moment(from_), _moment(to)
    query = AuditQuery(relation, outcome, subject, object, correlation_id, since, until)
    granted_domain(ports, call, principal, addressed, READ_AUDIT)
    try:
        # One more than asked for says whether there is another page.
        rows = ports.trail.page(addressed, query, after, limit + 1, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    audit(ports, call, principal, domain_object(addressed), outcome=GRANTED, asked=READ_AUDIT)
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
    return Answer(200, _page(rows, limit), headers=headers)


def refuse_domain_audit() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
    raise Refused(AUDIT_NOT_PROVISIONED, "load-bearing ports are not wired")


def cursor_of(seq: int) -> str:
    """What continues behind ``seq``: its eight bytes in base64url, eleven characters."""
    return base64.urlsafe_b64encode(seq.to_bytes(8)).decode("ascii").rstrip("=")


def seq_of(cursor: str | None) -> int:
    """Where a page begins; 0 without a cursor. What the contract's pattern lets through is one."""
    if cursor is None:
        return 0
    if not _CURSOR.fullmatch(cursor):
        raise Refused(INVALID_CURSOR, "the cursor is none of ours")
    return int.from_bytes(base64.urlsafe_b64decode(f"{cursor}="))


def _moment(text: str | None) -> datetime | None:
    """A moment that the contract's pattern lets through and no calendar knows is refused too."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(INVALID_FILTER, "from or to is no moment") from None
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # hours off the calendar's first or last day, where there are no rows
        return moment.replace(tzinfo=UTC)


def _page(rows: Sequence[AuditRecord], limit: int) -> Json:
    shown = rows[:limit]
    value: Json = {"items": [_entry(row) for row in shown]}
    if len(rows) > limit:
        value["next_cursor"] = cursor_of(shown[-1].seq)
    return value


def _entry(row: AuditRecord) -> Json:
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
