"""The checker over a SpiceDB that says what a test has written down for it."""

from typing import Any

import grpc
from authzed.api.v1 import (
    CheckBulkPermissionsPair,
    CheckBulkPermissionsResponse,
    CheckBulkPermissionsResponseItem,
    CheckPermissionRequest,
    CheckPermissionResponse,
)

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import Principal, PrincipalKind
from server.authz.channel import Undecided
from server.authz.checker import SpiceDbChecker
from server.authz.concurrency import ConcurrencyLimit
from tests.fakes import FakeClock

NODE = Principal(PrincipalKind.NODE, "0190aaaa-0000-7000-8000-000000000001")
OBJECT = NODE.subject
YES = CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
NO = CheckPermissionResponse.PERMISSIONSHIP_NO_PERMISSION
CONDITIONAL = CheckPermissionResponse.PERMISSIONSHIP_CONDITIONAL_PERMISSION
UNSPECIFIED = CheckPermissionResponse.PERMISSIONSHIP_UNSPECIFIED

MINIMIZE, FULLY, AT_LEAST = "minimize_latency", "fully_consistent", "at_least_as_fresh"
AWAY = AuthzUnavailable("away")


def undecided(status: grpc.StatusCode) -> Undecided:
    return Undecided(status, "because")


class ScriptedChannel:
    """Answers by consistency; an exception is raised, a callable is called."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.requests: list[CheckPermissionRequest] = []

    @property
    def asked(self) -> list[str]:
        return [request.consistency.WhichOneof("requirement") for request in self.requests]

    def permissions(self, method: str, request: Any, deadline: Deadline) -> Any:
        if method == "CheckBulkPermissions":
            return self._bulk(request, deadline)
        assert method == "CheckPermission"
        self.requests.append(request)
        answer = self.answers[request.consistency.WhichOneof("requirement")]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return CheckPermissionResponse(permissionship=answer)

    def _bulk(self, request: Any, deadline: Deadline) -> CheckBulkPermissionsResponse:
        """Each item as if it were asked alone."""
        pairs = []
        for item in request.items:
            alone = CheckPermissionRequest(
                consistency=request.consistency,
                resource=item.resource,
                permission=item.permission,
                subject=item.subject,
            )
            answer = self.permissions("CheckPermission", alone, deadline).permissionship
            item_answer = CheckBulkPermissionsResponseItem(permissionship=answer)
            pairs.append(CheckBulkPermissionsPair(request=item, item=item_answer))
        return CheckBulkPermissionsResponse(pairs=pairs)


class Gate:
    """A checker over a scripted channel."""

    def __init__(self, cache_size: int = 100, **answers: Any) -> None:
        self.clock = FakeClock()
        self.channel = ScriptedChannel(**answers)
        self.checker = SpiceDbChecker(
            self.channel,  # type: ignore[arg-type]
            ConcurrencyLimit(4, clock=self.clock),
            cache_size=cache_size,
            clock=self.clock,
        )

    def check(self, principal: Principal = NODE, resource: str = OBJECT) -> bool:
        return self.checker.check(principal, "node-agent", resource, self.deadline())

    def at_least(self, token: str = "t1", resource: str = OBJECT) -> bool:
        return self.checker.check_at_least(NODE, "node-agent", resource, token, self.deadline())

    def deadline(self) -> Deadline:
        return Deadline.after(3, self.clock)
