"""The RelationChecker on real SpiceDB: gate 2 (docs/design.md, Relationships)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import grpc
from authzed.api.v1 import (
    CheckPermissionRequest,
    CheckPermissionResponse,
    Consistency,
    ObjectReference,
    SubjectReference,
    ZedToken,
)

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import Principal
from server.authz.bulkhead import Bulkhead
from server.authz.channel import SpiceDbChannel, Undecided
from server.authz.memory import Confirmations, Question, YesAt

# SpiceDB's own rules for names, applied here: what is no name there has no relation to anything,
# and whatever SpiceDB complains about afterwards is not the caller's doing.
_OBJECT = re.compile(r"([a-z][a-z0-9_]{1,62}[a-z0-9]):([A-Za-z0-9/_|\-=+]{1,1024})", re.ASCII)
_RELATION = re.compile(r"[a-z][a-z0-9_]{1,62}[a-z0-9]", re.ASCII)


class SpiceDbChecker:
    """Implements ``composer.identity.RelationChecker``. Thread-safe.

    ``confirm_every_s``: how long a confirmed no stands without being confirmed again. ``limit``:
    questions remembered, for noes and for yeses. ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        channel: SpiceDbChannel,
        bulkhead: Bulkhead,
        *,
        confirm_every_s: float = 1.0,
        limit: int = 16_384,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._bulkhead = bulkhead
        self._confirmations = Confirmations(confirm_every_s, limit, clock)
        self._yes_at = YesAt(limit)

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        """At SpiceDB's own pace; a no, or no decision, is asked once more fully consistent."""
        question = _question(principal, relation, resource)
        if question is None:
            return False
        with self._bulkhead.permit(deadline):
            try:
                if self._ask(question, Consistency(minimize_latency=True), deadline):
                    return True
            except Undecided:
                # For some seconds after a schema was written the quantized revision has none yet.
                pass
            return self._confirmed(question, deadline)

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        """At or after ``token``, a no confirmed as in ``check``; without a call when that token was
        a yes here already."""
        question = _question(principal, relation, resource)
        if question is None:
            return False
        if self._yes_at.covers(question, token):
            return True
        with self._bulkhead.permit(deadline):
            answer = self._ask_at_least(question, token, deadline)
        if answer:
            self._yes_at.remember(question, token)
        else:
            self._yes_at.forget(question)
        return answer

    def decided_at(self, principal: Principal, relation: str, resource: str) -> str | None:
        """See composer.identity.RelationChecker."""
        question = _question(principal, relation, resource)
        return None if question is None else self._yes_at.last(question)

    def check_now(
        self, principal: Principal, relation: str, resource: str, deadline: Deadline
    ) -> bool:
        """By everything written so far; never from memory."""
        question = _question(principal, relation, resource)
        if question is None:
            return False
        with self._bulkhead.permit(deadline):
            return self._ask_fully(question, deadline)

    def _ask_at_least(self, question: Question, token: str, deadline: Deadline) -> bool:
        fresh = Consistency(at_least_as_fresh=ZedToken(token=token))
        try:
            if self._ask(question, fresh, deadline):
                return True
        except Undecided as undecided:
            if undecided.status is grpc.StatusCode.OUT_OF_RANGE:
                # This SpiceDB has not reached the token (restored from a backup?): its newest
                # answer is older than asked for, so there is none.
                raise AuthzUnavailable(f"SpiceDB is behind the ledger: {undecided}") from undecided
            # A token it cannot read, or a revision before the schema: now is later than either.
        # An old token allows an old revision, from before a grant that gate 2 has already seen.
        return self._confirmed(question, deadline)

    def _confirmed(self, question: Question, deadline: Deadline) -> bool:
        return self._confirmations.confirm(
            question, lambda: self._ask_fully(question, deadline), deadline
        )

    def _ask_fully(self, question: Question, deadline: Deadline) -> bool:
        try:
            return self._ask(question, Consistency(fully_consistent=True), deadline)
        except Undecided as undecided:
            if undecided.status is grpc.StatusCode.INVALID_ARGUMENT:
                # The names passed our own check, so SpiceDB merely knows a stricter rule: nothing
                # it calls invalid can hold a relation.
                return False
            # FAILED_PRECONDITION: definition or permission missing, which no stranger can cause.
            raise AuthzUnavailable(f"SpiceDB refuses to decide: {undecided}") from undecided

    def _ask(self, question: Question, consistency: Consistency, deadline: Deadline) -> bool:
        subject, permission, resource = question
        request = CheckPermissionRequest(
            consistency=consistency,
            resource=_reference(resource),
            permission=permission,
            subject=SubjectReference(object=_reference(subject)),
        )
        answer = self._channel.permissions("CheckPermission", request, deadline)
        # Conditional, unspecified and whatever comes later are all a no.
        yes = CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
        return bool(answer.permissionship == yes)


def _question(principal: Principal, relation: str, resource: str) -> Question | None:
    """The question in SpiceDB's spelling; None for a subject or resource it cannot know."""
    permission = relation.replace("-", "_")
    if not _RELATION.fullmatch(permission):
        raise AuthzUnavailable(f"{relation!r} is no relation")
    if not _OBJECT.fullmatch(principal.subject) or not _OBJECT.fullmatch(resource):
        return None
    return principal.subject, permission, resource


def _reference(name: str) -> ObjectReference:
    kind, _, object_id = name.partition(":")
    return ObjectReference(object_type=kind, object_id=object_id)
