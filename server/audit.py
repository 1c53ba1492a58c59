"""A grant is on record only when it was served.

Handlers record when the gates have spoken; whether the answer leaves is the doorkeeper's to say. So
rows wait in the request until then, and go on to the real sink in one order with the answer.
"""

from __future__ import annotations

from composer.ports import AuditRow, AuditSink
from server import request_context


class HeldAudit:
    """An AuditSink that holds rows in the request."""

    def record(self, row: AuditRow) -> None:
        """Keep ``row`` until the doorkeeper has decided."""
        request_context.hold_audit(row)


def settle(sink: AuditSink, served: bool) -> None:
    """Pass the request's rows on; without the grants when the answer was withheld."""
    for row in request_context.held_audit():
        if served or row.digest is None:
            sink.record(row)
