"""Checks of concurrent requests, asked together: a call costs the same for one question as for ten.
No two questions share a decision: each is an item of its own.

A role in a Node's Domain takes SpiceDB longer to decide where the Node is there. So it is asked
together with the same question about a Node that is there (``KnownNode``): the longer of the two is
the time of every answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import grpc
from authzed.api.v1 import (
    CheckBulkPermissionsPair,
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsRequestItem,
    CheckPermissionRequest,
    CheckPermissionResponse,
    Consistency,
    SubjectReference,
)

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from db.coalescing import Coalesced
from db.timing import SPICEDB, Timed, untimed
from server.authz.channel import SpiceDbChannel, Undecided, error_of
from server.authz.concurrency import ConcurrencyLimit
from server.authz.tuples import object_reference

# (subject, relation, resource), all as SpiceDB spells them.
Question = tuple[str, str, str]

# Conditional, unspecified and every later value mean no.
YES = CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
_MINIMIZE_LATENCY = Consistency(minimize_latency=True)
_STATUSES = {status.value[0]: status for status in grpc.StatusCode}


# What a Node has from its Domain.
OF_THE_DOMAIN = frozenset({"domain_edit", "domain_view", "node_view"})


class KnownNode:
    """A Node that SpiceDB knew lately, for the questions about others; none before the first."""

    def __init__(self) -> None:
        self._resources: tuple[str, ...] = ()  # the last two

    def allowed(self, question: Question) -> None:
        """SpiceDB has said yes."""
        resource = question[2]
        if resource.startswith("node:") and resource not in self._resources:
            self._resources = (resource, *self._resources[:1])

    def beside(self, question: Question) -> Question | None:
        """The question to ask too, where the time of an answer would show that a Node exists."""
        subject, permission, resource = question
        if permission not in OF_THE_DOMAIN or not resource.startswith("node:"):
            return None
        others = (known for known in self._resources if known != resource)
        return next(((subject, permission, known) for known in others), None)


def ask_alone(
    channel: SpiceDbChannel,
    question: Question,
    consistency: Consistency,
    deadline: Deadline,
    beside: Question | None = None,
) -> bool:
    """One question in one call, and the answer to ``beside`` is not read. Raises Undecided and
    AuthzUnavailable."""
    if beside is not None:
        items = [_item(question), _item(beside)]
        both = CheckBulkPermissionsRequest(consistency=consistency, items=items)
        pairs = channel.permissions("CheckBulkPermissions", both, deadline).pairs
        outcomes = {_question_of(pair): _outcome(pair) for pair in pairs}
        outcome = outcomes.get(question, AuthzUnavailable("SpiceDB left a question out"))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
    subject, permission, resource = question
    request = CheckPermissionRequest(
        consistency=consistency,
        resource=object_reference(resource),
        permission=permission,
        subject=SubjectReference(object=object_reference(subject)),
    )
    answer = channel.permissions("CheckPermission", request, deadline)
    return bool(answer.permissionship == YES)


class CoalescedChecks(Coalesced[Question, bool]):
    """``ask`` decides with minimal latency. It raises Undecided and AuthzUnavailable.

    A question waits for the others' calls without a permit of ``concurrency``, while calls succeed;
    a call has one.
    """

    errors = (Undecided, AuthzUnavailable)
    stage = SPICEDB

    def __init__(
        self,
        channel: SpiceDbChannel,
        concurrency: ConcurrencyLimit,
        timed: Timed = untimed,
        known: KnownNode | None = None,
    ) -> None:
        super().__init__(timed)
        self._channel = channel
        self._known = known or KnownNode()
        self._concurrency = concurrency
        self.patience = concurrency.wait_s

    def _stands_still(self) -> bool:
        """Many questions are no trouble; without a recent success SpiceDB may have stopped."""
        return self._concurrency.stands_still()

    def _refusal(self) -> Exception | None:
        """The error after a failed call: to wait for another occupies as many threads again."""
        if self._concurrency.in_trouble():
            return AuthzUnavailable("SpiceDB is in trouble and a call is under way")
        return None

    def _late_error(self) -> Exception:
        return AuthzUnavailable("earlier checks took too long")

    def _ask_alone(self, question: Question, deadline: Deadline) -> bool:
        with self._concurrency.permit(deadline):
            beside = self._known.beside(question)
            return ask_alone(
                channel=self._channel,
                question=question,
                consistency=_MINIMIZE_LATENCY,
                deadline=deadline,
                beside=beside,
            )

    def _ask_together(
        self, questions: Sequence[Question], deadline: Deadline
    ) -> Sequence[bool | Exception | None]:
        if self._concurrency.in_trouble():
            return [AuthzUnavailable("SpiceDB is in trouble")] * len(questions)
        if len(questions) == 1:
            return [self._ask_alone(questions[0], deadline)]
        besides = {beside for question in questions if (beside := self._known.beside(question))}
        items = [_item(question) for question in (*questions, *besides)]
        request = CheckBulkPermissionsRequest(consistency=_MINIMIZE_LATENCY, items=items)
        try:
            with self._concurrency.permit(deadline):
                answer = self._channel.permissions("CheckBulkPermissions", request, deadline)
        except Undecided:  # about one of them, and it is not said which
            return [None] * len(questions)
        if not besides and items == [pair.request for pair in answer.pairs]:  # as SpiceDB does
            return [_outcome(pair) for pair in answer.pairs]
        outcomes = {_question_of(pair): _outcome(pair) for pair in answer.pairs}
        return [outcomes.get(question) for question in questions]


@lru_cache(4096)  # an agent asks the same all day
def _item(question: Question) -> CheckBulkPermissionsRequestItem:
    subject, permission, resource = question
    return CheckBulkPermissionsRequestItem(
        resource=object_reference(resource),
        permission=permission,
        subject=SubjectReference(object=object_reference(subject)),
    )


def _question_of(pair: CheckBulkPermissionsPair) -> Question:
    item = pair.request
    subject, resource = item.subject.object, item.resource
    return (
        f"{subject.object_type}:{subject.object_id}",
        item.permission,
        f"{resource.object_type}:{resource.object_id}",
    )


def _outcome(pair: CheckBulkPermissionsPair) -> bool | Exception:
    if pair.HasField("error"):
        status = _STATUSES.get(pair.error.code, grpc.StatusCode.UNKNOWN)
        return error_of(status, pair.error.message)
    return bool(pair.item.permissionship == YES)
