"""Checks of concurrent requests, asked together: a call costs the same for one question as for ten.

A question is never answered by a call that began before it was asked, and no two questions share a
decision: each is an item of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
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
from server.authz.channel import SpiceDbChannel, Undecided, error_of
from server.authz.concurrency import ConcurrencyLimit
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


class _WaitingQuestion:
    """A question that waits for a call. Its turn comes when it is answered, or must lead."""

    __slots__ = ("_turn", "deadline", "is_due", "must_ask_alone", "outcome", "question")

    def __init__(self, question: Question, deadline: Deadline) -> None:
        self.question = question
        self.deadline = deadline
        self.outcome: bool | Exception | None = None
        self.must_ask_alone = False
        self.is_due = False
        self._turn = threading.Lock()  # a tenth of what an Event costs
        self._turn.acquire()

    def wait(self, seconds: float) -> bool:
        """Whether its turn has come."""
        return self._turn.acquire(timeout=max(0.0, seconds))

    def wake(self) -> None:
        """Let its turn come; harmless to repeat."""
        if not self.is_due:
            self.is_due = True
            self._turn.release()


class CoalescedChecks:
    """At most one call is under way; questions that come meanwhile are the next call. Thread-safe.

    Without concurrency each question is a call of its own at once. A question waits for the others'
    calls without a permit of ``concurrency``, while calls succeed; a call has one.
    """

    def __init__(self, channel: SpiceDbChannel, concurrency: ConcurrencyLimit) -> None:
        self._channel = channel
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._is_calling = False
        self._waiting: deque[_WaitingQuestion] = deque()

    def ask(self, question: Question, deadline: Deadline) -> bool:
        """With minimal latency. Raises Undecided and AuthzUnavailable."""
        with self._lock:
            alone = not self._is_calling
            if not alone:
                if self._concurrency.in_trouble():
                    raise AuthzUnavailable("SpiceDB is in trouble and a call is under way")
                waiter = _WaitingQuestion(question, deadline)
                self._waiting.append(waiter)
            self._is_calling = True
        if alone:
            try:
                return self._ask_alone(question, deadline)
            finally:
                self._let_next_lead()
        self._wait(waiter)
        if waiter.outcome is None and not waiter.must_ask_alone:
            self._lead(waiter)
        if waiter.must_ask_alone:
            return self._ask_alone(question, deadline)
        if isinstance(waiter.outcome, Exception):
            raise waiter.outcome
        assert waiter.outcome is not None
        return waiter.outcome

    def _wait(self, waiter: _WaitingQuestion) -> None:
        """Many questions are no trouble; without a recent success SpiceDB may have stopped."""
        seconds = self._concurrency.wait_s
        while not waiter.wait(min(seconds, waiter.deadline.remaining())):
            is_late = waiter.deadline.remaining() <= 0 or self._concurrency.stands_still()
            if is_late and self._leave(waiter):
                raise AuthzUnavailable("earlier checks took too long")

    def _ask_alone(self, question: Question, deadline: Deadline) -> bool:
        with self._concurrency.permit(deadline):
            consistency = Consistency(minimize_latency=True)
            return ask_alone(self._channel, question, consistency, deadline)

    def _let_next_lead(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting[0].wake()
            else:
                self._is_calling = False

    def _leave(self, waiter: _WaitingQuestion) -> bool:
        """Whether its turn has not come; the question no longer waits."""
        with self._lock:
            if waiter.is_due:
                return False
            with suppress(ValueError):  # it is in the call under way
                self._waiting.remove(waiter)
            return True

    def _lead(self, waiter: _WaitingQuestion) -> None:
        """Ask every question that waits now, this one first."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
        assert batch[0] is waiter
        try:
            if self._concurrency.in_trouble():
                self._refuse(batch)
            elif len(batch) == 1:
                waiter.outcome = self._ask_alone(waiter.question, waiter.deadline)
            else:
                self._ask_together(batch)
        except (Undecided, AuthzUnavailable) as error:
            waiter.outcome = error
        finally:
            self._let_next_lead()
            for waiting in batch:
                if waiting.outcome is None:
                    waiting.must_ask_alone = True
                waiting.wake()

    def _refuse(self, batch: list[_WaitingQuestion]) -> None:
        """The call before failed: to wait for another one holds as many threads again."""
        for waiting in batch:
            waiting.outcome = AuthzUnavailable("SpiceDB is in trouble")

    def _ask_together(self, batch: list[_WaitingQuestion]) -> None:
        """Questions without an outcome are asked again, alone."""
        items = [_item(waiting.question) for waiting in batch]
        request = CheckBulkPermissionsRequest(
            consistency=Consistency(minimize_latency=True), items=items
        )
        deadline = batch[0].deadline
        try:
            with self._concurrency.permit(deadline):
                answer = self._channel.permissions("CheckBulkPermissions", request, deadline)
        except Undecided:  # about one of them, and it is not said which
            return
        except AuthzUnavailable as error:
            had_no_time = batch[0].deadline.remaining() <= 0  # and others may have
            for waiting in batch[: 1 if had_no_time else len(batch)]:
                waiting.outcome = error
            return
        if items == [pair.request for pair in answer.pairs]:  # as SpiceDB does
            for waiting, pair in zip(batch, answer.pairs, strict=True):
                waiting.outcome = _outcome(pair)
            return
        outcomes = {_question_of(pair): _outcome(pair) for pair in answer.pairs}
        for waiting in batch:
            waiting.outcome = outcomes.get(waiting.question)


@lru_cache(4096)  # an agent asks the same all day
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
