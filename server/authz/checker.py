"""The RelationChecker on SpiceDB: gate 2 (docs/design.md, Relationships), and the decisions that a
process keeps: denials that were confirmed, and tokens at which a relation was allowed."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import grpc
from authzed.api.v1 import Consistency, LookupResourcesRequest, SubjectReference, ZedToken
from authzed.api.v1.permission_service_pb2 import LOOKUP_PERMISSIONSHIP_HAS_PERMISSION

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import Principal, parse_canonical_uuid
from db.timing import Timed, untimed
from server.authz.channel import SpiceDbChannel, Undecided
from server.authz.coalesced import CoalescedChecks, KnownNode, Question, ask_alone
from server.authz.concurrency import ConcurrencyLimit
from server.authz.tuples import object_reference

# SpiceDB's own rules for names, applied here: a name that breaks them has no relation to anything,
# and a complaint of SpiceDB after this check is no fault of the caller.
_OBJECT = re.compile(r"([a-z][a-z0-9_]{1,62}[a-z0-9]):([A-Za-z0-9/_|\-=+]{1,1024})", re.ASCII)
_RELATION = re.compile(r"[a-z][a-z0-9_]{1,62}[a-z0-9]", re.ASCII)


class SpiceDbChecker:
    """Implements ``composer.identity.RelationChecker``. Thread-safe.

    ``confirm_every_s``: how long a confirmed denial is used without another confirmation.
    ``cache_size``: the number of questions that each of the two caches keeps. ``clock`` is
    monotonic seconds; ``timed`` is told of each wait for the call of another request.
    """

    def __init__(
        self,
        channel: SpiceDbChannel,
        concurrency: ConcurrencyLimit,
        *,
        confirm_every_s: float = 1.0,
        cache_size: int = 16_384,
        clock: Callable[[], float] = time.monotonic,
        timed: Timed = untimed,
    ) -> None:
        self._channel = channel
        self._concurrency = concurrency
        self._known = KnownNode()
        self._coalesced = CoalescedChecks(
            channel=channel, concurrency=concurrency, timed=timed, known=self._known
        )
        self._denials = _ConfirmedDenials(confirm_every_s, cache_size, clock)
        self._allowed_at = _AllowedTokens(cache_size)

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        """Ask with SpiceDB's minimal latency; all but a yes is confirmed fully consistent."""
        question = _question(principal, relation, resource)
        if question is None:
            return False
        try:
            if self._coalesced.ask(question, deadline):
                self._known.allowed(question)
                return True
        except Undecided:
            # For some seconds after a schema was written the quantized revision has no schema.
            pass
        with self._concurrency.permit(deadline):
            return self._confirmed(question, deadline)

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        """Ask at or after ``token``; a denial confirmed as in ``check``.

        Makes no call when this relation was already allowed at exactly this token.
        """
        question = _question(principal, relation, resource)
        if question is None:
            return False
        if self._allowed_at.covers(question, token):
            return True
        with self._concurrency.permit(deadline):
            allowed = self._ask_at_least(question, token, deadline)
        if allowed:
            self._allowed_at.put(question, token)
        else:
            self._allowed_at.remove(question)
        return allowed

    def last_token(self, principal: Principal, relation: str, resource: str) -> str | None:
        """See composer.identity.RelationChecker."""
        question = _question(principal, relation, resource)
        return None if question is None else self._allowed_at.last(question)

    def check_now(
        self, principal: Principal, relation: str, resource: str, deadline: Deadline
    ) -> bool:
        """The answer by everything that was written before; never from a cache."""
        question = _question(principal, relation, resource)
        if question is None:
            return False
        with self._concurrency.permit(deadline):
            return self._ask_fully(question, deadline)

    def objects_of(
        self, principal: Principal, relation: str, kind: str, deadline: Deadline
    ) -> frozenset[UUID]:
        """The answer by everything that was written before; never from a cache."""
        question = _question(principal, relation, f"{kind}:any")
        if question is None:
            return frozenset()
        subject, permission, _ = question
        request = LookupResourcesRequest(
            consistency=Consistency(fully_consistent=True),
            resource_object_type=kind,
            permission=permission,
            subject=SubjectReference(object=object_reference(subject)),
        )
        with self._concurrency.permit(deadline):
            try:
                found = list(self._channel.stream("LookupResources", request, deadline))
            except Undecided as undecided:
                raise AuthzUnavailable(f"SpiceDB refuses to decide: {undecided}") from undecided
        # A conditional permission is no permission, and an id that is no UUID is none of ours.
        allowed = LOOKUP_PERMISSIONSHIP_HAS_PERMISSION
        ids = [
            resource.resource_object_id for resource in found if resource.permissionship == allowed
        ]
        return frozenset(id for id in map(parse_canonical_uuid, ids) if id is not None)

    def _ask_at_least(self, question: Question, token: str, deadline: Deadline) -> bool:
        at_least = Consistency(at_least_as_fresh=ZedToken(token=token))
        try:
            if self._ask(question, at_least, deadline):
                return True
        except Undecided as undecided:
            if undecided.status is grpc.StatusCode.OUT_OF_RANGE:
                # This SpiceDB has not reached the token (restored from a backup?): even its newest
                # answer would be older than the token.
                raise AuthzUnavailable(f"SpiceDB is behind the ledger: {undecided}") from undecided
            # A token it cannot read, or a revision before the schema: now is later than either.
        # An old token allows an old revision, from before a grant that gate 2 has already seen.
        return self._confirmed(question, deadline)

    def _confirmed(self, question: Question, deadline: Deadline) -> bool:
        return self._denials.confirm(
            question, lambda: self._ask_fully(question, deadline), deadline
        )

    def _ask_fully(self, question: Question, deadline: Deadline) -> bool:
        try:
            return self._ask(question, Consistency(fully_consistent=True), deadline)
        except Undecided as undecided:
            if undecided.status is grpc.StatusCode.INVALID_ARGUMENT:
                # The names passed our own check, so SpiceDB has a stricter rule: a name that it
                # calls invalid can have no relation.
                return False
            # FAILED_PRECONDITION: a definition or permission is missing, which no caller can cause.
            raise AuthzUnavailable(f"SpiceDB refuses to decide: {undecided}") from undecided

    def _ask(self, question: Question, consistency: Consistency, deadline: Deadline) -> bool:
        beside = self._known.beside(question)
        return ask_alone(
            channel=self._channel,
            question=question,
            consistency=consistency,
            deadline=deadline,
            beside=beside,
        )


def _question(principal: Principal, relation: str, resource: str) -> Question | None:
    """The question in SpiceDB's spelling; None for a subject or resource it cannot know."""
    permission = relation.replace("-", "_")
    if not _RELATION.fullmatch(permission):
        raise AuthzUnavailable(f"{relation!r} is no relation")
    if not _OBJECT.fullmatch(principal.subject) or not _OBJECT.fullmatch(resource):
        return None
    return principal.subject, permission, resource


@dataclass(slots=True, eq=False)
class _Confirmation:
    """One fully consistent question: its ``answer`` once ``done``, usable before ``until``."""

    done: threading.Event = field(default_factory=threading.Event)
    answer: bool | None = None
    until: float = 0.0


class _ConfirmedDenials:
    """Asks fully consistent, at most once in ``window_s`` for a question whose answer stays no.

    Callers that arrive while the same question is being asked get the same answer. A yes is not
    kept: it would outlive a revocation.
    """

    def __init__(self, window_s: float, limit: int, clock: Callable[[], float]) -> None:
        self._window_s = window_s
        self._limit = limit
        self._clock = clock
        self._entries: OrderedDict[Question, _Confirmation] = OrderedDict()
        self._lock = threading.Lock()

    def confirm(self, question: Question, ask: Callable[[], bool], deadline: Deadline) -> bool:
        """The answer of ``ask``, from now or from the last ``window_s``; raises as ``ask`` does."""
        with self._lock:
            entry = self._entries.get(question)
            if entry is not None and entry.done.is_set() and self._clock() >= entry.until:
                entry = None
            if is_first := entry is None:
                entry = self._entries[question] = _Confirmation()
                self._entries.move_to_end(question)
                while len(self._entries) > self._limit:
                    self._entries.popitem(last=False)
        assert entry is not None
        if is_first:
            return self._ask(question, entry, ask)
        if not entry.done.wait(deadline.remaining()) or entry.answer is None:
            raise AuthzUnavailable("the confirmation of a denial did not succeed")
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


class _AllowedTokens:
    """The last token, for each question, at or after which SpiceDB said yes.

    The least recently used question is dropped first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tokens: OrderedDict[Question, str] = OrderedDict()
        self._lock = threading.Lock()

    def covers(self, question: Question, token: str) -> bool:
        """Whether SpiceDB decided at exactly this token; tokens are opaque and have no order."""
        with self._lock:
            if self._tokens.get(question) != token:
                return False
            self._tokens.move_to_end(question)
            return True

    def last(self, question: Question) -> str | None:
        """The token, for a caller that has none to compare."""
        with self._lock:
            return self._tokens.get(question)

    def put(self, question: Question, token: str) -> None:
        with self._lock:
            self._tokens[question] = token
            self._tokens.move_to_end(question)
            while len(self._tokens) > self._limit:
                self._tokens.popitem(last=False)

    def remove(self, question: Question) -> None:
        with self._lock:
            self._tokens.pop(question, None)
