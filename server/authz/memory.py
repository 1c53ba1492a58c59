"""What a process remembers of SpiceDB's decisions, both bounded: confirmed noes, and yeses at a
token."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable

# (subject, relation, resource), all as SpiceDB spells them.
Question = tuple[str, str, str]


@dataclass(slots=True, eq=False)
class _Confirmation:
    """One fully consistent question: ``until`` when its no stands, ``answer`` once ``done``."""

    done: threading.Event = field(default_factory=threading.Event)
    answer: bool | None = None
    until: float = 0.0


class Confirmations:
    """Asks again fully consistent, at most once a ``window_s`` for a question that stays a no.

    Those who come while the same question is being asked get that answer. A yes is not kept: it
    would outlive a revocation.
    """

    def __init__(self, window_s: float, limit: int, clock: Callable[[], float]) -> None:
        self._window_s = window_s
        self._limit = limit
        self._clock = clock
        self._entries: OrderedDict[Question, _Confirmation] = OrderedDict()
        self._lock = threading.Lock()

    def confirm(self, question: Question, ask: Callable[[], bool], deadline: Deadline) -> bool:
        """The answer of ``ask``, now or less than ``window_s`` ago; raises what ``ask`` raises."""
        with self._lock:
            entry = self._entries.get(question)
            if entry is not None and entry.done.is_set() and self._clock() >= entry.until:
                entry = None
            if mine := entry is None:
                entry = self._entries[question] = _Confirmation()
                self._entries.move_to_end(question)
                while len(self._entries) > self._limit:
                    self._entries.popitem(last=False)
        assert entry is not None
        if mine:
            return self._ask(question, entry, ask)
        if not entry.done.wait(deadline.remaining()) or entry.answer is None:
            raise AuthzUnavailable("the confirmation of a no did not succeed")
        return entry.answer

    def _ask(self, question: Question, entry: _Confirmation, ask: Callable[[], bool]) -> bool:
        try:
            entry.answer = ask()
            entry.until = self._clock() + self._window_s
        finally:
            if entry.answer is not False:
                with self._lock:
                    if self._entries.get(question) is entry:
                        del self._entries[question]
            entry.done.set()
        return entry.answer


class YesAt:
    """For each question the last token at or after which SpiceDB said yes (least recent lost)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tokens: OrderedDict[Question, str] = OrderedDict()
        self._lock = threading.Lock()

    def covers(self, question: Question, token: str) -> bool:
        """Whether this very token was decided on; tokens are opaque, so none is "newer"."""
        with self._lock:
            if self._tokens.get(question) != token:
                return False
            self._tokens.move_to_end(question)
            return True

    def last(self, question: Question) -> str | None:
        """The token itself, for who has none to compare."""
        with self._lock:
            return self._tokens.get(question)

    def remember(self, question: Question, token: str) -> None:
        with self._lock:
            self._tokens[question] = token
            self._tokens.move_to_end(question)
            while len(self._tokens) > self._limit:
                self._tokens.popitem(last=False)

    def forget(self, question: Question) -> None:
        with self._lock:
            self._tokens.pop(question, None)
