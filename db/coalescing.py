"""Questions of concurrent requests, asked together: for snapshots (db/coalesced_reads.py) and for
checks of SpiceDB (server/authz/coalesced.py)."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Generic, TypeVar

from composer.deadline import Deadline
from db.timing import Timed, untimed
from db.together import take_turns, wait_for_others

Q = TypeVar("Q")
A = TypeVar("A")

_MOST = 32


class _Waiting(Generic[Q, A]):
    """A question that waits for a call. Its turn comes when it is answered, or must lead."""

    __slots__ = ("_turn", "deadline", "is_due", "must_ask_alone", "outcome", "question")

    def __init__(self, question: Q, deadline: Deadline) -> None:
        self.question = question
        self.deadline = deadline
        self.outcome: A | Exception | None = None
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


class Coalesced(ABC, Generic[Q, A]):
    """At most one call is under way; questions that come meanwhile are the next call. Thread-safe.

    Without concurrency each question is a call of its own at once. A question is never answered by
    a call that began before it was asked. A subclass knows how to ask, and when it is useless to
    wait for the call under way.

    ``errors`` are those of a call; ``patience`` is how many seconds a question waits before it
    looks whether the calls still succeed. ``timed`` is told of the wait for another's call, as of
    the ``stage`` of the calls.
    """

    errors: ClassVar[tuple[type[Exception], ...]]
    patience: float
    stage: ClassVar[str]

    def __init__(self, timed: Timed = untimed) -> None:
        self._timed = timed
        self._lock = threading.Lock()
        self._is_calling = False
        self._waiting: deque[_Waiting[Q, A]] = deque()

    @abstractmethod
    def _ask_alone(self, question: Q, deadline: Deadline) -> A:
        """The answer to one question. Raises one of ``errors``."""

    @abstractmethod
    def _ask_together(
        self, questions: Sequence[Q], deadline: Deadline
    ) -> Sequence[A | Exception | None]:
        """The answer to each question, or its error; None where it must be asked alone. Raises one
        of ``errors`` for all of them."""

    @abstractmethod
    def _refusal(self) -> Exception | None:
        """The error of a question that must not wait for the call under way."""

    @abstractmethod
    def _late_error(self) -> Exception:
        """The error of a question that waited too long."""

    @abstractmethod
    def _stands_still(self) -> bool:
        """Whether the call under way has taken too long."""

    def _call_begins(self) -> None:
        """Called, under the lock, before each call that others wait for."""

    def ask(self, question: Q, deadline: Deadline) -> A:
        """The answer. Raises one of ``errors``."""
        if take_turns():
            waiting: _Waiting[Q, A] = _Waiting(question, deadline)
            began = time.monotonic()
            wait_for_others(self.settle, waiting)
            self._timed(self.stage, began, time.monotonic())
            return self._answer(waiting)
        with self._lock:
            alone = not self._is_calling
            if alone:
                self._is_calling = True
                self._call_begins()
            else:
                if (refusal := self._refusal()) is not None:
                    raise refusal
                waiting = _Waiting(question, deadline)
                self._waiting.append(waiting)
        if alone:
            try:
                return self._ask_alone(question, deadline)
            finally:
                self._let_next_lead()
        self._settle_one(waiting)
        return self._answer(waiting)

    def settle(self, waiting: Sequence[_Waiting[Q, A]]) -> None:
        """See Settle: the questions of the requests that take turns on this thread."""
        with self._lock:
            if not self._is_calling:
                self._is_calling = True
                self._call_begins()
                waiting[0].wake()
            elif (refusal := self._refusal()) is not None:
                for waiter in waiting:
                    waiter.outcome = refusal
                return
            self._waiting.extend(waiting)
        for waiter in waiting:
            try:
                self._settle_one(waiter)
            except self.errors as error:
                waiter.outcome = error

    def _settle_one(self, waiter: _Waiting[Q, A]) -> None:
        self._wait(waiter)
        if waiter.outcome is None and not waiter.must_ask_alone:
            self._lead(waiter)

    def _answer(self, waiter: _Waiting[Q, A]) -> A:
        if waiter.must_ask_alone:
            return self._ask_alone(waiter.question, waiter.deadline)
        if isinstance(waiter.outcome, Exception):
            raise waiter.outcome
        assert waiter.outcome is not None
        return waiter.outcome

    def _wait(self, waiter: _Waiting[Q, A]) -> None:
        began = time.monotonic()
        try:
            while not waiter.wait(min(self.patience, waiter.deadline.remaining())):
                is_late = waiter.deadline.remaining() <= 0 or self._stands_still()
                if is_late and self._leave(waiter):
                    raise self._late_error()
        finally:
            self._timed(self.stage, began, time.monotonic())

    def _let_next_lead(self) -> None:
        with self._lock:
            if self._waiting:
                self._call_begins()
                self._waiting[0].wake()
            else:
                self._is_calling = False

    def _leave(self, waiter: _Waiting[Q, A]) -> bool:
        """Whether its turn has not come; the question no longer waits."""
        with self._lock:
            if waiter.is_due:
                return False
            with suppress(ValueError):  # it is in the call under way
                self._waiting.remove(waiter)
            return True

    def _lead(self, waiter: _Waiting[Q, A]) -> None:
        """Ask every question that waits now, this one first."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
        assert batch[0] is waiter
        try:
            questions = [waiting.question for waiting in batch]
            outcomes = self._ask_together(questions, waiter.deadline)
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.outcome = outcome
        except self.errors as error:
            # The others may have more time than the one that led.
            is_late = waiter.deadline.remaining() <= 0
            for waiting in batch[: 1 if is_late else len(batch)]:
                waiting.outcome = error
        finally:
            self._let_next_lead()
            for waiting in batch:
                waiting.must_ask_alone = waiting.outcome is None
                waiting.wake()
