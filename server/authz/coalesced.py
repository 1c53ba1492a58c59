"""Checks of concurrent requests, asked together: a call costs the same for one question as for ten.

A question is never answered by a call that began before it was asked, and no two questions share a
decision: each is an item of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

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
from server.authz.channel import SpiceDbChannel, Undecided, error_of
from server.authz.tuples import object_reference

# (subject, relation, resource), all as SpiceDB spells them.
Question = tuple[str, str, str]

# Conditional, unspecified and every later value mean no.
YES = CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
_MOST = 32
_STATUSES = {status.value[0]: status for status in grpc.StatusCode}


def ask_alone(
    channel: SpiceDbChannel, question: Question, consistency: Consistency, deadline: Deadline
) -> bool:
    """One question in one call. Raises Undecided and AuthzUnavailable."""
    subject, permission, resource = question
    request = CheckPermissionRequest(
        consistency=consistency,
        resource=object_reference(resource),
        permission=permission,
        subject=SubjectReference(object=object_reference(subject)),
    )
    answer = channel.permissions("CheckPermission", request, deadline)
    return bool(answer.permissionship == YES)


@dataclass(slots=True, eq=False)
class _Waiting:
    """A question that waits for a call. ``turn`` is set when it is answered, or must lead."""

    question: Question
    deadline: Deadline
    turn: threading.Event = field(default_factory=threading.Event)
    outcome: bool | Exception | None = None
    must_ask_alone: bool = False


class CoalescedChecks:
    """At most one call is under way; questions that come meanwhile are the next call. Thread-safe.

    Without concurrency each question is a call of its own at once. ``wait_s`` is the most that a
    question waits for others' calls.
    """

    def __init__(self, channel: SpiceDbChannel, wait_s: float = 1.0) -> None:
        self._channel = channel
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._is_calling = False
        self._waiting: deque[_Waiting] = deque()

    def ask(self, question: Question, deadline: Deadline) -> bool:
        """With minimal latency. Raises Undecided and AuthzUnavailable."""
        with self._lock:
            alone = not self._is_calling
            self._is_calling = True
            if not alone:
                waiting = _Waiting(question, deadline)
                self._waiting.append(waiting)
        if alone:
            try:
                return self._ask_alone(question, deadline)
            finally:
                self._let_next_lead()
        if not waiting.turn.wait(deadline.at_most(self._wait_s).remaining()) and self._leave(
            waiting
        ):
            raise AuthzUnavailable("earlier checks took too long")
        if waiting.outcome is None and not waiting.must_ask_alone:
            self._lead(waiting)
        if waiting.must_ask_alone:
            return self._ask_alone(question, deadline)
        if isinstance(waiting.outcome, Exception):
            raise waiting.outcome
        assert waiting.outcome is not None
        return waiting.outcome

    def _ask_alone(self, question: Question, deadline: Deadline) -> bool:
        return ask_alone(self._channel, question, Consistency(minimize_latency=True), deadline)

    def _let_next_lead(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].turn.set()
            else:
                self._is_calling = False

    def _leave(self, waiting: _Waiting) -> bool:
        """Whether the question was still waiting; it no longer is."""
        with self._lock:
            if waiting.turn.is_set():
                return False
            try:
                self._waiting.remove(waiting)
            except ValueError:  # it is in the call under way
                return True
            return True

    def _lead(self, waiting: _Waiting) -> None:
        """Ask every question that waits now, this one first."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
        assert batch[0] is waiting
        try:
            if len(batch) == 1:
                waiting.outcome = self._ask_alone(waiting.question, waiting.deadline)
            else:
                self._ask_together(batch)
        except (Undecided, AuthzUnavailable) as error:
            waiting.outcome = error
        finally:
            self._let_next_lead()
            for waiting in batch:
                if waiting.outcome is None:
                    waiting.must_ask_alone = True
                waiting.turn.set()

    def _ask_together(self, batch: list[_Waiting]) -> None:
        """Questions without an outcome are asked again, alone."""
        request = CheckBulkPermissionsRequest(
            consistency=Consistency(minimize_latency=True),
            items=[_item(waiting.question) for waiting in batch],
        )
        try:
            answer = self._channel.permissions("CheckBulkPermissions", request, batch[0].deadline)
        except Undecided:  # about one of them, and it is not said which
            return
        except AuthzUnavailable as error:
            had_no_time = batch[0].deadline.remaining() <= 0  # and others may have
            for waiting in batch[: 1 if had_no_time else len(batch)]:
                waiting.outcome = error
            return
        outcomes = {_question_of(pair): _outcome(pair) for pair in answer.pairs}
        for waiting in batch:
            waiting.outcome = outcomes.get(waiting.question)


def _item(question: Question) -> CheckBulkPermissionsRequestItem:
    subject, permission, resource = question
    return CheckBulkPermissionsRequestItem(
        resource=object_reference(resource),
        permission=permission,
        subject=SubjectReference(object=object_reference(subject)),
    )


def _question_of(pair: CheckBulkPermissionsPair) -> Question:
    asked = pair.request
    subject, resource = asked.subject.object, asked.resource
    return (
        f"{subject.object_type}:{subject.object_id}",
        asked.permission,
        f"{resource.object_type}:{resource.object_id}",
    )


def _outcome(pair: CheckBulkPermissionsPair) -> bool | Exception:
    if pair.HasField("error"):
        status = _STATUSES.get(pair.error.code, grpc.StatusCode.UNKNOWN)
        return error_of(status, pair.error.message)
    return bool(pair.item.permissionship == YES)
