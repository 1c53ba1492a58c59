"""Snapshots of concurrent pulls, read together: a statement costs little more for five Nodes than
for one, and blocks one thread in place of five. All Nodes of a statement are of one moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable, NodeNotFound
from db.coalescing import Coalesced
from db.connections import ReadSession, Row, Sessions
from db.statements import Prepared
from db.timing import POSTGRES, Timed, untimed

Q = TypeVar("Q")
A = TypeVar("A")

SNAPSHOTS_FOR_NODES = Prepared("snapshots_for_nodes")
# A statement that is under way for longer does not come back (seconds): nobody waits for it.
TROUBLE = 1.0


class CoalescedStatements(Coalesced[Q, A]):
    """Questions that are asked by one statement of a pool. ``ask`` raises DatastoreUnavailable."""

    errors = (ComposerError,)
    patience = TROUBLE
    stage = POSTGRES

    def __init__(self, clock: Callable[[], float] = time.monotonic, timed: Timed = untimed) -> None:
        super().__init__(timed)
        self._clock = clock
        self._began = 0.0

    def _call_begins(self) -> None:
        self._began = self._clock()

    def _stands_still(self) -> bool:
        return self._clock() - self._began > TROUBLE

    def _refusal(self) -> Exception | None:
        if self._stands_still():
            return DatastoreUnavailable("the statement under way does not come back")
        return None

    def _late_error(self) -> Exception:
        return DatastoreUnavailable("earlier statements took too long")


class CoalescedReads(CoalescedStatements[UUID, Row]):
    """``ask`` returns the Node's row of snapshots_for_nodes. It raises NodeNotFound and
    DatastoreUnavailable."""

    def __init__(
        self,
        sessions: Sessions[ReadSession],
        clock: Callable[[], float] = time.monotonic,
        timed: Timed = untimed,
    ) -> None:
        super().__init__(clock, timed)
        self._sessions = sessions

    def _ask_alone(self, question: UUID, deadline: Deadline) -> Row:
        (outcome,) = self._ask_together([question], deadline)
        if isinstance(outcome, NodeNotFound):
            raise outcome
        return outcome

    def _ask_together(
        self, questions: Sequence[UUID], deadline: Deadline
    ) -> list[Row | NodeNotFound]:
        ids = [str(node_id) for node_id in questions]
        found = self._sessions.fetch(SNAPSHOTS_FOR_NODES, {"node_ids": ids}, deadline)
        rows = {row[0]: row[1:] for row in found}
        return [rows.get(node_id) or NodeNotFound(f"node_id={node_id}") for node_id in ids]
