"""Facts of every operation, read from where they are declared, for tests that go through them all.

``AUTHN`` is the status of a request without a Principal; ``AUTHZ`` the relation; ``AUDIT`` the
outcomes that leave a row; ``REACHED`` the least share of a fuzzer's valid cases that must end in a
2xx or 304 (None where the operation has no such answer); ``GRANTED`` the status of who may.
"""

from __future__ import annotations

from collections.abc import Mapping

from handlers import OPERATIONS
from handlers.operation import AnyOperation, AuditedGrants, Operation
from handlers.refusals import BOOTSTRAP_TOKEN_INVALID


def _is_enrolling(operation: AnyOperation) -> bool:
    """Whether the caller is proven by the body, and the relation is asked of somebody else."""
    return isinstance(operation, Operation) and operation.way.caller_in_body


def _status_of_nobody(operation: AnyOperation) -> int:
    if _is_enrolling(operation):
        return BOOTSTRAP_TOKEN_INVALID.status
    return 401 if isinstance(operation, Operation) else 200


def _status_of_grant(operation: AnyOperation) -> int:
    """The first time: what was made is 201, and 200 when it is found again."""
    return max(status for status in operation.statuses if status < 300)


def _outcomes(operation: AnyOperation) -> tuple[str, ...]:
    if not isinstance(operation, Operation):
        return ()
    granted = () if operation.audited_grants is AuditedGrants.NONE else ("granted",)
    if _is_enrolling(operation):  # of its refusals one alone leaves a row: tests/golden/operations
        return granted
    return (*granted, "insufficient_relation")


AUTHN: Mapping[str, int] = {
    name: _status_of_nobody(operation) for name, operation in OPERATIONS.items()
}
AUTHZ: Mapping[str, str | None] = {
    name: (
        operation.way.relation
        if isinstance(operation, Operation) and not _is_enrolling(operation)
        else None
    )
    for name, operation in OPERATIONS.items()
}
AUDIT: Mapping[str, tuple[str, ...]] = {
    name: _outcomes(operation) for name, operation in OPERATIONS.items()
}
REACHED: Mapping[str, float | None] = dict.fromkeys(OPERATIONS, 0.5)
GRANTED: Mapping[str, int] = {
    name: _status_of_grant(operation) for name, operation in OPERATIONS.items()
}
