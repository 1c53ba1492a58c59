"""Requests that take turns on one thread ask together, and each gets its own answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable, NodeNotFound
from db.coalescing import Coalesced
from db.together import go_last, run_together
from tests.ports.deadlines import in_time


class Doubles(Coalesced[int, int]):
    """The answer is twice the question: to 13 an error, and to 7 only where it is asked alone."""

    errors = (ComposerError,)
    patience = 1.0
    stage = "doubles"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[int]] = []
        self.refuses: Exception | None = None
        self.fails: Exception | None = None

    def _ask_alone(self, question: int, deadline: Deadline) -> int:
        self.calls.append([question])
        return 2 * question

    def _ask_together(
        self, questions: Sequence[int], deadline: Deadline
    ) -> Sequence[int | Exception | None]:
        self.calls.append(list(questions))
        if self.fails is not None:
            raise self.fails
        special = {13: NodeNotFound("13"), 7: None}
        return [special.get(question, 2 * question) for question in questions]

    def _refusal(self) -> Exception | None:
        return self.refuses

    def _late_error(self) -> Exception:
        return DatastoreUnavailable("late")

    def _stands_still(self) -> bool:
        return True


def together(*requests: Callable[[], object]) -> list[object]:
    """The ends of the requests, in their order."""
    ends: dict[int, object] = {}

    def noted(number: int, request: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                ends[number] = request()
            except ComposerError as error:
                ends[number] = error

        return run

    run_together([noted(number, request) for number, request in enumerate(requests)])
    return [ends[number] for number in range(len(requests))]


def asking(doubles: Doubles, question: int) -> Callable[[], int]:
    return lambda: doubles.ask(question, in_time())


def test_the_questions_of_one_thread_are_one_call_and_each_has_its_own_answer() -> None:
    doubles = Doubles()
    ends = together(*(asking(doubles, question) for question in (1, 13, 2, 7)))
    assert (ends[0], ends[2], ends[3]) == (2, 4, 14)
    assert isinstance(ends[1], NodeNotFound)
    assert doubles.calls == [[1, 13, 2, 7], [7]]


def test_a_request_that_asks_twice_asks_the_second_time_with_the_others() -> None:
    first, second = Doubles(), Doubles()

    def twice(question: int) -> Callable[[], int]:
        return lambda: second.ask(first.ask(question, in_time()), in_time())

    assert together(twice(1), twice(2), asking(first, 3)) == [4, 8, 6]
    assert (first.calls, second.calls) == ([[1, 2, 3]], [[2, 4]])


def test_an_error_of_the_call_is_the_error_of_each_request() -> None:
    doubles = Doubles()
    doubles.fails = DatastoreUnavailable("away")
    ends = together(asking(doubles, 1), asking(doubles, 2), lambda: "asks nothing")
    assert ends == [doubles.fails, doubles.fails, "asks nothing"]


@pytest.mark.parametrize("must_not_wait", [True, False])
def test_behind_a_call_of_another_thread_questions_wait_or_are_refused(
    must_not_wait: bool,
) -> None:
    doubles = Doubles()
    if must_not_wait:
        doubles.refuses = DatastoreUnavailable("stands still")
    else:
        doubles.patience = 10.0
    began, release = threading.Event(), threading.Event()

    def slow(question: int, deadline: Deadline) -> int:
        began.set()
        assert release.wait(10)
        return question

    doubles._ask_alone = slow  # type: ignore[method-assign]
    other = threading.Thread(target=lambda: doubles.ask(5, in_time()))
    other.start()
    assert began.wait(10)
    if not must_not_wait:
        threading.Timer(0.01, release.set).start()
    ends = together(asking(doubles, 1), asking(doubles, 2))
    release.set()
    other.join()
    assert ends == ([doubles.refuses] * 2 if must_not_wait else [2, 4])
    assert doubles.calls == ([] if must_not_wait else [[1, 2]])
    assert not doubles._is_calling


def test_a_question_that_waits_too_long_for_another_thread_gets_the_late_error() -> None:
    doubles = Doubles()
    doubles.patience = 0.001
    doubles._is_calling = True  # by a thread that does not come back
    ends = together(asking(doubles, 1), asking(doubles, 2))
    assert [type(end) for end in ends] == [DatastoreUnavailable] * 2
    assert not doubles._waiting


def test_a_request_that_goes_last_lets_the_others_of_its_thread_end() -> None:
    ended: list[str] = []
    doubles = Doubles()

    def slow() -> None:
        doubles.ask(1, in_time())
        go_last()
        ended.append("slow")

    def other() -> None:
        doubles.ask(2, in_time())
        doubles.ask(3, in_time())
        ended.append("other")

    together(slow, other, other)
    assert ended == ["other", "other", "slow"]
