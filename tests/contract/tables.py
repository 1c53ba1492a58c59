"""Facts of every operation, read from where they are declared, for tests that go through them all.

``AUTHN`` is the status of a request without a Principal; ``AUTHZ`` the relation; ``AUDIT`` the
outcomes that leave a row; ``REACHED`` the least share of a fuzzer's valid cases that must end in a
2xx or 304 (None where the operation has no such answer).
"""

from __future__ import annotations

from collections.abc import Mapping

from handlers import OPERATIONS
from handlers.operation import AuditedGrants, Operation, UnservedOperation
from tests.contract.answered import ANSWERED
from tests.contract.attacked import ATTACKED


def _status_of_nobody(operation: object) -> int:
    if isinstance(operation, UnservedOperation):
        return operation.not_provisioned.status
    return 401 if isinstance(operation, Operation) else 200


def _outcomes(operation: object) -> tuple[str, ...]:
    if not isinstance(operation, Operation):
        return ()
    granted = () if operation.audited_grants is AuditedGrants.NONE else ("granted",)
    return (*granted, "insufficient_relation")


AUTHN: Mapping[str, int] = {name: _status_of_nobody(one) for name, one in OPERATIONS.items()}
AUTHZ: Mapping[str, str | None] = {
    name: one.way.relation if isinstance(one, Operation) else None
    for name, one in OPERATIONS.items()
}
AUDIT: Mapping[str, tuple[str, ...]] = {name: _outcomes(one) for name, one in OPERATIONS.items()}
REACHED: Mapping[str, float | None] = {
    name: None if isinstance(one, UnservedOperation) else 0.5 for name, one in OPERATIONS.items()
}
# How an operation is attacked, and how it is brought to show all its answers.
TABLES: Mapping[str, Mapping[str, object]] = {"attack": ATTACKED, "answer": ANSWERED}
