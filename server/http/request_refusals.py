"""The refusal of each parameter whose value breaks the contract."""

from __future__ import annotations

from collections.abc import Mapping

from handlers.refusals import (
    INVALID_CURSOR,
    INVALID_DOMAIN_ID,
    INVALID_ENTRY,
    INVALID_FILTER,
    INVALID_IDEMPOTENCY_KEY,
    INVALID_LAST_EVENT_ID,
    INVALID_LIMIT,
    INVALID_NODE_ID,
    RefusalKind,
)

# A parameter that is not in this table is refused with a 400 without a code. An operation's own
# refusals (``Operation.parameter_refusals``) come first.
PARAMETER_REFUSALS: Mapping[str, RefusalKind] = {
    "id": INVALID_NODE_ID,
    "domain_id": INVALID_DOMAIN_ID,
    "cursor": INVALID_CURSOR,
    "limit": INVALID_LIMIT,
    "Idempotency-Key": INVALID_IDEMPOTENCY_KEY,
    "Last-Event-ID": INVALID_LAST_EVENT_ID,
    "key": INVALID_ENTRY,
    **dict.fromkeys(
        ("relation", "outcome", "subject", "object", "correlation_id", "from", "to"),
        INVALID_FILTER,
    ),
}
